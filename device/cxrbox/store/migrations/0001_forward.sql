-- The queue and the results: one row a film or a file that could not be taken in.
CREATE TABLE films (
    id INTEGER PRIMARY KEY,
    sha256 TEXT UNIQUE,                 -- of the content; NULL where no content could be taken in
    name TEXT NOT NULL,                 -- path below the watched folder, as first seen
    bytes INTEGER NOT NULL,
    received_at TEXT NOT NULL,          -- UTC, ISO 8601
    state TEXT NOT NULL CHECK (state IN ('queued', 'reading', 'read', 'refused')),
    crashes INTEGER NOT NULL DEFAULT 0, -- times the reader died on it
    finished_at TEXT,
    refusal_code TEXT,
    refusal_reason TEXT,
    changed INTEGER NOT NULL            -- grows with every change of any film: what the live list waits for
);
CREATE INDEX films_by_state ON films (state, id);
CREATE INDEX films_by_change ON films (changed);

CREATE TABLE results (
    film_id INTEGER PRIMARY KEY REFERENCES films (id),
    reading TEXT NOT NULL,              -- JSON: bundle, backend, findings, as `cxrbox read --json` prints them
    maps BLOB NOT NULL,                 -- .npy, float16, (findings, height, width)
    milliseconds REAL NOT NULL          -- from opening the film to its result
);

-- Every file of the watched folder that was taken in, so that it is not hashed again at each look.
CREATE TABLE sightings (
    path TEXT PRIMARY KEY,
    signature TEXT NOT NULL,            -- size, its own time of change and the kernel's
    film_id INTEGER NOT NULL REFERENCES films (id)
);
