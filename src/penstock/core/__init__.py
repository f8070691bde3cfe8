"""The tiny core every slice stands on: ids, clock, errors, settings, database, blobs, events, jobs, auth, HTTP."""
