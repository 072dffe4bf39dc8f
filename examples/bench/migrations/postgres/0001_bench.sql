-- The records that are measured. bench_keys has the columns and indexes of api_keys.

CREATE TABLE bench_teams (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	name TEXT NOT NULL,
	slug TEXT NOT NULL,
	slug_key TEXT NOT NULL,
	description TEXT NOT NULL,
	settings JSONB NOT NULL,
	state TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX bench_teams_org_id_slug_key_key ON bench_teams (org_id, slug_key);
CREATE INDEX bench_teams_slug_key_idx ON bench_teams (slug_key, id);

CREATE TABLE bench_keys (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	project_id TEXT NOT NULL,
	name TEXT NOT NULL,
	user_id TEXT NOT NULL,
	created_by TEXT NOT NULL,
	inherit_team BOOLEAN NOT NULL,
	permissions JSONB,
	restrictions JSONB NOT NULL,
	default_tags JSONB,
	metadata JSONB,
	prefix TEXT NOT NULL,
	last4 TEXT NOT NULL,
	hash TEXT NOT NULL,
	disabled BOOLEAN NOT NULL,
	revoked_at TIMESTAMPTZ,
	expires_at TIMESTAMPTZ,
	previous_hash TEXT,
	previous_expires_at TIMESTAMPTZ,
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
	org_id BIGINT NOT NULL,
	at BIGINT NOT NULL,
	id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	key_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	request_id TEXT NOT NULL,
	model BIGINT NOT NULL,
	provider BIGINT NOT NULL,
	action BIGINT NOT NULL,
	input_tokens BIGINT NOT NULL,
	output_tokens BIGINT NOT NULL,
	cached_tokens BIGINT NOT NULL,
	cost_micros BIGINT NOT NULL,
	latency_ms BIGINT NOT NULL,
	streamed BOOLEAN NOT NULL,
	PRIMARY KEY (org_id, at, id)
);
