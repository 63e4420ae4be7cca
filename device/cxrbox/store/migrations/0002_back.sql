-- Schema 1 has no place for these: they are laid aside for the way forward. Ledger and identities stay as they are.
CREATE TABLE kept_films (
    id INTEGER PRIMARY KEY, source, identity, identity_kind, overridden, started_at, original_at, entry
);
INSERT INTO kept_films
    SELECT id, source, identity, identity_kind, overridden, started_at, original_at, entry FROM films;
CREATE TABLE kept_results (film_id INTEGER PRIMARY KEY, logits, unstable);
INSERT INTO kept_results SELECT film_id, logits, unstable FROM results;
DROP INDEX films_by_original;
ALTER TABLE films DROP COLUMN source;
ALTER TABLE films DROP COLUMN identity;
ALTER TABLE films DROP COLUMN identity_kind;
ALTER TABLE films DROP COLUMN overridden;
ALTER TABLE films DROP COLUMN started_at;
ALTER TABLE films DROP COLUMN original_at;
ALTER TABLE films DROP COLUMN entry;
ALTER TABLE results DROP COLUMN logits;
ALTER TABLE results DROP COLUMN unstable;
DROP TABLE statuses;
DROP TABLE requests;
