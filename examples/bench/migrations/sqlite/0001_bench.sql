-- The records that are measured. bench_keys has the columns and indexes of api_keys.

CREATE TABLE bench_teams (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	name TEXT NOT NULL,
	slug TEXT NOT NULL,
	slug_key TEXT NOT NULL,
	description TEXT NOT NULL,
	settings TEXT NOT NULL,
	state TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX bench_teams_org_id_slug_key_key ON bench_teams (org_id, slug_key);
CREATE INDEX bench_teams_slug_key_idx ON bench_teams (slug_key, id);

CREATE TABLE bench_keys (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	project_id TEXT NOT NULL,
	name TEXT NOT NULL,
	user_id TEXT NOT NULL,
	created_by TEXT NOT NULL,
	inherit_team BOOLEAN NOT NULL,
	permissions TEXT,
	restrictions TEXT NOT NULL,
	default_tags TEXT,
	metadata TEXT,
	prefix TEXT NOT NULL,
	last4 TEXT NOT NULL,
	hash TEXT NOT NULL,
	disabled BOOLEAN NOT NULL,
	revoked_at TEXT,
	expires_at TEXT,
	previous_hash TEXT,
	previous_expires_at TEXT,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX bench_keys_hash_key ON bench_keys (hash);
CREATE UNIQUE INDEX bench_keys_previous_hash_key ON bench_keys (previous_hash);
CREATE INDEX bench_keys_org_id_created_at_idx ON bench_keys (org_id, created_at, id);
CREATE INDEX bench_keys_org_id_team_id_created_at_idx ON bench_keys (org_id, team_id, created_at, id);
CREATE INDEX bench_keys_org_id_user_id_idx ON bench_keys (org_id, user_id, id);
CREATE INDEX bench_keys_org_id_project_id_idx ON bench_keys (org_id, project_id, id);

-- A log: words are numbers of log_words, times are microseconds.
CREATE TABLE bench_calls (
	org_id INTEGER NOT NULL,
	at INTEGER NOT NULL,
	id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	key_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	request_id TEXT NOT NULL,
	model INTEGER NOT NULL,
	provider INTEGER NOT NULL,
	action INTEGER NOT NULL,
	input_tokens INTEGER NOT NULL,
	output_tokens INTEGER NOT NULL,
	cached_tokens INTEGER NOT NULL,
	cost_micros INTEGER NOT NULL,
	latency_ms INTEGER NOT NULL,
	streamed BOOLEAN NOT NULL,
	PRIMARY KEY (org_id, at, id)
) WITHOUT ROWID;
