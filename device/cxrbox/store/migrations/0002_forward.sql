-- Where a film came from, whom it shows, how long its original is kept, and the ledger that vouches for its result.
ALTER TABLE films ADD COLUMN source TEXT NOT NULL DEFAULT 'folder'
    CHECK (source IN ('folder', 'stick', 'upload', 'camera', 'dicom-network'));
ALTER TABLE films ADD COLUMN identity TEXT;             -- as a person, a barcode or a header gave it
ALTER TABLE films ADD COLUMN identity_kind TEXT NOT NULL DEFAULT 'unknown'
    CHECK (identity_kind IN ('typed', 'barcode', 'dicom', 'unknown'));
ALTER TABLE films ADD COLUMN overridden INTEGER NOT NULL DEFAULT 0; -- a person wants it read whatever the capture gate says
ALTER TABLE films ADD COLUMN started_at TEXT;           -- when its last reading began
ALTER TABLE films ADD COLUMN original_at TEXT;          -- when its original came; NULL where none is kept (any more)
ALTER TABLE films ADD COLUMN entry INTEGER;             -- of the ledger, which vouches for its result or refusal
ALTER TABLE results ADD COLUMN logits TEXT;             -- JSON, one a finding: what a replay is compared with
ALTER TABLE results ADD COLUMN unstable TEXT;           -- JSON, findings whose state a small shift changes; NULL: not tried
UPDATE films SET original_at = received_at WHERE sha256 IS NOT NULL;
CREATE INDEX films_by_original ON films (original_at) WHERE original_at IS NOT NULL;

-- What `0002_back.sql` laid aside when an earlier release took the folder over.
CREATE TABLE IF NOT EXISTS kept_films (
    id INTEGER PRIMARY KEY, source, identity, identity_kind, overridden, started_at, original_at, entry
);
UPDATE films SET (source, identity, identity_kind, overridden, started_at, original_at, entry) =
    (SELECT source, identity, identity_kind, overridden, started_at, original_at, entry
     FROM kept_films WHERE kept_films.id = films.id)
    WHERE id IN (SELECT id FROM kept_films);
DROP TABLE kept_films;
CREATE TABLE IF NOT EXISTS kept_results (film_id INTEGER PRIMARY KEY, logits, unstable);
UPDATE results SET (logits, unstable) =
    (SELECT logits, unstable FROM kept_results WHERE kept_results.film_id = results.film_id);
DROP TABLE kept_results;

-- The append-only hash chain: hash = SHA-256 of (the previous hash, then entry). Going back leaves it where it is.
CREATE TABLE IF NOT EXISTS ledger (
    number INTEGER PRIMARY KEY,         -- 1, 2, 3 ... without a gap
    kind TEXT NOT NULL,                 -- result, refusal, stability, override, withdrawal, identity, removal, bundle
    film_id INTEGER,                    -- NULL where it is about no film
    entry TEXT NOT NULL,                -- canonical JSON (`cxrbox.ledger`); names no patient and no file
    hash TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS ledger_by_film ON ledger (film_id, number);
CREATE INDEX IF NOT EXISTS ledger_by_kind ON ledger (kind, number);
CREATE TRIGGER IF NOT EXISTS ledger_is_not_changed BEFORE UPDATE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS ledger_is_not_cut BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
-- INSERT OR REPLACE fires no DELETE trigger.
CREATE TRIGGER IF NOT EXISTS ledger_has_no_gap BEFORE INSERT ON ledger
    WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM ledger)
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- Every identity a film was ever given. The ledger holds only a salted hash of it, so that it names nobody.
CREATE TABLE IF NOT EXISTS identities (
    number INTEGER PRIMARY KEY REFERENCES ledger (number),
    film_id INTEGER NOT NULL REFERENCES films (id),
    kind TEXT NOT NULL,
    text TEXT,
    salt TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS identities_by_film ON identities (film_id, number);
CREATE TRIGGER IF NOT EXISTS identities_are_not_changed BEFORE UPDATE ON identities
    BEGIN SELECT RAISE(ABORT, 'the history of identities is append-only'); END;
CREATE TRIGGER IF NOT EXISTS identities_are_not_cut BEFORE DELETE ON identities
    BEGIN SELECT RAISE(ABORT, 'the history of identities is append-only'); END;

-- What each part of the box is doing, for the page.
CREATE TABLE statuses (
    part TEXT PRIMARY KEY,
    at TEXT NOT NULL,                   -- UTC, ISO 8601
    status TEXT NOT NULL                -- JSON object
);

-- What the page asks of the other parts; a part that takes a request removes it.
CREATE TABLE requests (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    at TEXT NOT NULL,
    request TEXT NOT NULL               -- JSON object
);
