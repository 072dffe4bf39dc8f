-- The records of orgkit, one table per kind. Columns follow the fields of the records; the drift
-- test holds both against each other. Ids are texts made by the program.

CREATE TABLE users (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	email TEXT NOT NULL,
	email_key TEXT NOT NULL,
	name TEXT NOT NULL,
	email_verified BOOLEAN NOT NULL,
	state TEXT NOT NULL,
	alias_id TEXT,
	expires_at TIMESTAMPTZ,
	home_id TEXT NOT NULL,
	platform_role_id TEXT NOT NULL,
	priority BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX users_platform_role_id_idx ON users (platform_role_id, id);
CREATE UNIQUE INDEX users_email_key_key ON users (email_key);
CREATE UNIQUE INDEX users_alias_id_key ON users (alias_id);
CREATE INDEX users_created_at_idx ON users (created_at, id);

CREATE TABLE tokens (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	user_id TEXT NOT NULL,
	name TEXT NOT NULL,
	dialect TEXT NOT NULL,
	prefix TEXT NOT NULL,
	last4 TEXT NOT NULL,
	hash TEXT NOT NULL,
	expires_at TIMESTAMPTZ,
	mfa_verified_at TIMESTAMPTZ,
	revoked BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX tokens_hash_key ON tokens (hash);
CREATE INDEX tokens_user_id_created_at_idx ON tokens (user_id, created_at, id);
CREATE INDEX tokens_created_at_idx ON tokens (created_at, id);

CREATE TABLE sessions (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	user_id TEXT NOT NULL,
	hash TEXT NOT NULL,
	methods JSONB,
	expires_at TIMESTAMPTZ NOT NULL,
	seen_at TIMESTAMPTZ NOT NULL,
	mfa_verified_at TIMESTAMPTZ,
	pending BOOLEAN NOT NULL,
	ip TEXT NOT NULL,
	user_agent TEXT NOT NULL,
	ended_at TIMESTAMPTZ,
	ended_because TEXT NOT NULL,
	signed_in_by JSONB,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX sessions_hash_key ON sessions (hash);
CREATE INDEX sessions_user_id_created_at_idx ON sessions (user_id, created_at, id);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at, id);

CREATE TABLE kept_answers (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	digest TEXT NOT NULL,
	print TEXT NOT NULL,
	status BIGINT NOT NULL,
	header JSONB,
	body TEXT NOT NULL,
	expires_at TIMESTAMPTZ NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX kept_answers_digest_key ON kept_answers (digest);
CREATE INDEX kept_answers_expires_at_idx ON kept_answers (expires_at, id);

CREATE TABLE authenticators (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	password TEXT NOT NULL,
	password_at TIMESTAMPTZ,
	reset_hash TEXT,
	reset_ends TIMESTAMPTZ,
	factor TEXT NOT NULL,
	factor_at TIMESTAMPTZ,
	factor_step BIGINT NOT NULL,
	offered TEXT NOT NULL,
	offered_at TIMESTAMPTZ,
	recovery JSONB,
	mfa_proved_at TIMESTAMPTZ,
	places JSONB,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX authenticators_reset_hash_key ON authenticators (reset_hash);

CREATE TABLE signin_brakes (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	tries BIGINT NOT NULL,
	free_at TIMESTAMPTZ NOT NULL,
	forget_at TIMESTAMPTZ NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX signin_brakes_forget_at_idx ON signin_brakes (forget_at, id);

CREATE TABLE organizations (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	parent_id TEXT NOT NULL,
	name TEXT NOT NULL,
	slug TEXT NOT NULL,
	description TEXT NOT NULL,
	settings JSONB NOT NULL,
	metadata JSONB,
	tags JSONB,
	customizations JSONB,
	state TEXT NOT NULL,
	suspended_by TEXT NOT NULL,
	deleted_at TIMESTAMPTZ,
	state_before TEXT NOT NULL,
	alias_id TEXT,
	allowance_id TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX organizations_alias_id_key ON organizations (alias_id);
CREATE INDEX organizations_created_at_idx ON organizations (created_at, id);
CREATE INDEX organizations_parent_id_created_at_idx ON organizations (parent_id, created_at, id);
CREATE INDEX organizations_allowance_id_id_idx ON organizations (allowance_id, id);
CREATE INDEX organizations_name_idx ON organizations (name, id);

CREATE TABLE allowances (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	"limit" NUMERIC,
	soft_limit NUMERIC,
	"window" TEXT NOT NULL,
	anchor TIMESTAMPTZ NOT NULL,
	duration TEXT NOT NULL,
	tokens_per_minute BIGINT,
	requests_per_minute BIGINT,
	max_parallel_requests BIGINT,
	models JSONB,
	unknown_price TEXT NOT NULL,
	unknown_minimum NUMERIC,
	fail_open BOOLEAN NOT NULL,
	created_by TEXT NOT NULL,
	updated_by TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX allowances_created_at_idx ON allowances (created_at, id);

CREATE TABLE org_slugs (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	slug TEXT NOT NULL,
	org_id TEXT NOT NULL,
	until TIMESTAMPTZ,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX org_slugs_slug_key ON org_slugs (slug);
CREATE INDEX org_slugs_org_id_idx ON org_slugs (org_id, id);

CREATE TABLE numbers (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	noun TEXT NOT NULL,
	number BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX numbers_noun_number_key ON numbers (noun, number);

CREATE TABLE platform_roles (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	name TEXT NOT NULL,
	permissions JSONB,
	limited BOOLEAN NOT NULL,
	limits JSONB,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX platform_roles_org_id_name_key ON platform_roles (org_id, name);

CREATE TABLE platform_sso (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	rules JSONB,
	last_rule BIGINT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE numberings (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	last BIGINT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE teams (
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
	alias_id TEXT,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX teams_alias_id_key ON teams (alias_id);
CREATE UNIQUE INDEX teams_org_id_slug_key_key ON teams (org_id, slug_key);
CREATE INDEX teams_slug_key_idx ON teams (slug_key, id);

CREATE TABLE projects (
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
	metadata JSONB,
	tags JSONB,
	state TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX projects_created_at_idx ON projects (created_at, id);
CREATE UNIQUE INDEX projects_org_id_slug_key_key ON projects (org_id, slug_key);

CREATE TABLE invitations (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	email TEXT NOT NULL,
	email_key TEXT NOT NULL,
	role_id TEXT NOT NULL,
	role TEXT NOT NULL,
	message TEXT NOT NULL,
	permissions JSONB NOT NULL,
	status TEXT NOT NULL,
	days BIGINT NOT NULL,
	expires_at TIMESTAMPTZ NOT NULL,
	invited_by TEXT NOT NULL,
	invited_by_type TEXT NOT NULL,
	email_sent BOOLEAN NOT NULL,
	hash TEXT NOT NULL,
	pending TEXT,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX invitations_hash_key ON invitations (hash);
CREATE UNIQUE INDEX invitations_org_id_team_id_pending_key ON invitations (org_id, team_id, pending);
CREATE INDEX invitations_org_id_team_id_created_at_idx ON invitations (org_id, team_id, created_at, id);
CREATE INDEX invitations_status_expires_at_idx ON invitations (status, expires_at, id);

CREATE TABLE api_keys (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	project_id TEXT NOT NULL,
	name TEXT NOT NULL,
	description TEXT NOT NULL,
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
	dialect TEXT NOT NULL,
	blocked_by TEXT NOT NULL,
	revoked_at TIMESTAMPTZ,
	expires_at TIMESTAMPTZ,
	previous_hash TEXT,
	previous_expires_at TIMESTAMPTZ,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX api_keys_hash_key ON api_keys (hash);
CREATE UNIQUE INDEX api_keys_previous_hash_key ON api_keys (previous_hash);
CREATE INDEX api_keys_org_id_created_at_idx ON api_keys (org_id, created_at, id);
CREATE INDEX api_keys_org_id_team_id_created_at_idx ON api_keys (org_id, team_id, created_at, id);
CREATE INDEX api_keys_user_id_created_at_idx ON api_keys (user_id, created_at, id);
CREATE INDEX api_keys_created_at_idx ON api_keys (created_at, id);
CREATE INDEX api_keys_org_id_user_id_idx ON api_keys (org_id, user_id, id);
CREATE INDEX api_keys_org_id_project_id_idx ON api_keys (org_id, project_id, id);
CREATE INDEX api_keys_name_org_id_idx ON api_keys (name, org_id, id);

CREATE TABLE api_key_uses (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	used_at TIMESTAMPTZ NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE webhooks (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	url TEXT NOT NULL,
	description TEXT NOT NULL,
	events JSONB,
	status TEXT NOT NULL,
	status_reason TEXT NOT NULL,
	status_at TIMESTAMPTZ NOT NULL,
	sealed TEXT NOT NULL,
	secret_at TIMESTAMPTZ NOT NULL,
	previous_sealed TEXT NOT NULL,
	previous_ends_at TIMESTAMPTZ,
	PRIMARY KEY (id)
);
CREATE INDEX webhooks_org_id_created_at_idx ON webhooks (org_id, created_at, id);

CREATE TABLE webhook_calls (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	succeeded_at TIMESTAMPTZ,
	failed_at TIMESTAMPTZ,
	failed_reason TEXT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE provisionings (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	enabled BOOLEAN NOT NULL,
	base_url TEXT NOT NULL,
	auto_provision BOOLEAN NOT NULL,
	auto_deprovision BOOLEAN NOT NULL,
	sync_groups BOOLEAN NOT NULL,
	role_mapping JSONB,
	default_role TEXT NOT NULL,
	allowed_roles JSONB,
	link TEXT NOT NULL,
	local_edits BOOLEAN NOT NULL,
	domains JSONB,
	PRIMARY KEY (id)
);

CREATE TABLE scim_tokens (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	name TEXT NOT NULL,
	hint TEXT NOT NULL,
	hash TEXT NOT NULL,
	expires_at TIMESTAMPTZ,
	of_sso BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX scim_tokens_hash_key ON scim_tokens (hash);
CREATE INDEX scim_tokens_org_id_created_at_idx ON scim_tokens (org_id, created_at, id);

CREATE TABLE sso_configs (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	provider TEXT NOT NULL,
	protocol TEXT NOT NULL,
	enabled BOOLEAN NOT NULL,
	url TEXT NOT NULL,
	issuer TEXT NOT NULL,
	certs JSONB,
	client_id TEXT NOT NULL,
	secret TEXT NOT NULL,
	secret_at TIMESTAMPTZ,
	scopes JSONB,
	algs JSONB,
	attributes JSONB NOT NULL,
	mfa_contexts JSONB,
	force_authn BOOLEAN NOT NULL,
	sign_requests BOOLEAN NOT NULL,
	unsolicited BOOLEAN NOT NULL,
	skew_seconds BIGINT NOT NULL,
	break_glass JSONB,
	proved_at TIMESTAMPTZ,
	warned BIGINT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE sso_links (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	issuer TEXT NOT NULL,
	subject TEXT NOT NULL,
	user_id TEXT NOT NULL,
	made BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX sso_links_org_id_issuer_subject_key ON sso_links (org_id, issuer, subject);
CREATE UNIQUE INDEX sso_links_org_id_issuer_user_id_key ON sso_links (org_id, issuer, user_id);
CREATE INDEX sso_links_user_id_idx ON sso_links (user_id, id);
CREATE INDEX sso_links_org_id_idx ON sso_links (org_id, id);

CREATE TABLE sso_seen (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	forget_at TIMESTAMPTZ NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX sso_seen_forget_at_idx ON sso_seen (forget_at, id);

CREATE TABLE provisioned_users (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	user_name TEXT NOT NULL,
	user_name_key TEXT NOT NULL,
	external_id TEXT,
	active BOOLEAN NOT NULL,
	made BOOLEAN NOT NULL,
	attributes JSONB,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX provisioned_users_org_id_user_name_key_key ON provisioned_users (org_id, user_name_key);
CREATE UNIQUE INDEX provisioned_users_org_id_external_id_key ON provisioned_users (org_id, external_id);
CREATE UNIQUE INDEX provisioned_users_org_id_user_id_key ON provisioned_users (org_id, user_id);
CREATE INDEX provisioned_users_org_id_idx ON provisioned_users (org_id, id);
CREATE INDEX provisioned_users_user_id_idx ON provisioned_users (user_id, id);

CREATE TABLE provisioned_emails (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	value_key TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX provisioned_emails_user_id_value_key_key ON provisioned_emails (user_id, value_key);
CREATE INDEX provisioned_emails_org_id_value_key_idx ON provisioned_emails (org_id, value_key, id);

CREATE TABLE provisioned_departures (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	external_id TEXT,
	user_id TEXT NOT NULL,
	made BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX provisioned_departures_org_id_external_id_key ON provisioned_departures (org_id, external_id);
CREATE INDEX provisioned_departures_user_id_idx ON provisioned_departures (user_id, id);

CREATE TABLE provisioned_groups (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT,
	name TEXT NOT NULL,
	name_key TEXT NOT NULL,
	external_id TEXT,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX provisioned_groups_org_id_name_key_key ON provisioned_groups (org_id, name_key);
CREATE UNIQUE INDEX provisioned_groups_org_id_external_id_key ON provisioned_groups (org_id, external_id);
CREATE UNIQUE INDEX provisioned_groups_team_id_key ON provisioned_groups (team_id);
CREATE INDEX provisioned_groups_org_id_idx ON provisioned_groups (org_id, id);

CREATE TABLE provisioned_members (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	group_id TEXT NOT NULL,
	member_id TEXT NOT NULL,
	is_group BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX provisioned_members_group_id_member_id_key ON provisioned_members (group_id, member_id);
CREATE INDEX provisioned_members_group_id_idx ON provisioned_members (group_id, id);
CREATE INDEX provisioned_members_member_id_idx ON provisioned_members (member_id, id);

CREATE TABLE scopes (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	parent_id TEXT NOT NULL,
	zone TEXT NOT NULL,
	state TEXT NOT NULL,
	revision BIGINT NOT NULL,
	trail TEXT NOT NULL,
	allowed_i_ps JSONB,
	allowed_i_ps_data BOOLEAN NOT NULL,
	require_mfa BOOLEAN NOT NULL,
	session_minutes BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX scopes_parent_id_idx ON scopes (parent_id, id);

CREATE TABLE assignments (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	subject TEXT NOT NULL,
	kind TEXT NOT NULL,
	state TEXT NOT NULL,
	role_id TEXT NOT NULL,
	source TEXT NOT NULL,
	given JSONB,
	"add" JSONB,
	remove JSONB,
	bound TEXT NOT NULL,
	created_by TEXT NOT NULL,
	acts_as_team BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX assignments_subject_org_id_team_id_key ON assignments (subject, org_id, team_id);
CREATE INDEX assignments_org_id_team_id_kind_created_at_idx ON assignments (org_id, team_id, kind, created_at, id);
CREATE INDEX assignments_org_id_role_id_idx ON assignments (org_id, role_id, id);

CREATE TABLE restrictions (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	state TEXT NOT NULL,
	allowed JSONB,
	limited BOOLEAN NOT NULL,
	blocked JSONB,
	require_approval JSONB,
	features_off JSONB,
	objects JSONB,
	PRIMARY KEY (id)
);
CREATE INDEX restrictions_org_id_idx ON restrictions (org_id, id);

CREATE TABLE roles (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	name TEXT NOT NULL,
	slug TEXT NOT NULL,
	slug_key TEXT NOT NULL,
	description TEXT NOT NULL,
	permissions JSONB,
	inherited BOOLEAN NOT NULL,
	is_system BOOLEAN NOT NULL,
	adopted BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX roles_org_id_slug_key_key ON roles (org_id, slug_key);

CREATE TABLE overrides (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	role_id TEXT NOT NULL,
	role TEXT NOT NULL,
	"add" JSONB,
	remove JSONB,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX overrides_team_id_role_id_key ON overrides (team_id, role_id);
CREATE INDEX overrides_org_id_created_at_idx ON overrides (org_id, created_at, id);

CREATE TABLE policies (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	statements JSONB,
	enabled BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX policies_org_id_team_id_name_key ON policies (org_id, team_id, name);

CREATE TABLE approvals (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	requester TEXT NOT NULL,
	action TEXT NOT NULL,
	resource TEXT NOT NULL,
	reason TEXT NOT NULL,
	status TEXT NOT NULL,
	requirements JSONB,
	decisions JSONB,
	ends_at TIMESTAMPTZ NOT NULL,
	max_amount NUMERIC,
	amount NUMERIC,
	until TIMESTAMPTZ,
	PRIMARY KEY (id)
);
CREATE INDEX approvals_team_id_requester_resource_created_at_idx ON approvals (team_id, requester, resource, created_at, id);
CREATE INDEX approvals_org_id_created_at_idx ON approvals (org_id, created_at, id);
CREATE INDEX approvals_org_id_status_ends_at_idx ON approvals (org_id, status, ends_at, id);
CREATE INDEX approvals_status_ends_at_idx ON approvals (status, ends_at, id);

CREATE TABLE budgets (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	scope TEXT NOT NULL,
	scope_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	name TEXT NOT NULL,
	"limit" NUMERIC NOT NULL,
	"window" TEXT NOT NULL,
	zone TEXT NOT NULL,
	anchor TIMESTAMPTZ NOT NULL,
	hard BOOLEAN NOT NULL,
	rollover BOOLEAN NOT NULL,
	rollover_cap NUMERIC,
	soft_limit NUMERIC,
	limit_override JSONB,
	suspended BOOLEAN NOT NULL,
	suspended_by TEXT NOT NULL,
	suspended_until TIMESTAMPTZ,
	alert_threshold NUMERIC,
	thresholds JSONB,
	unknown_price TEXT NOT NULL,
	unknown_minimum NUMERIC,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX budgets_org_id_scope_scope_id_team_id_name_key ON budgets (org_id, scope, scope_id, team_id, name);
CREATE INDEX budgets_suspended_id_idx ON budgets (suspended, id);

CREATE TABLE fired_alerts (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	alert_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	budget_id TEXT NOT NULL,
	scope TEXT NOT NULL,
	scope_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	threshold NUMERIC NOT NULL,
	spent NUMERIC NOT NULL,
	reference NUMERIC NOT NULL,
	suspended BOOLEAN NOT NULL,
	period_start TIMESTAMPTZ NOT NULL,
	period_end TIMESTAMPTZ NOT NULL,
	limit_version BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX fired_alerts_org_id_created_at_idx ON fired_alerts (org_id, created_at, id);
CREATE INDEX fired_alerts_alert_id_period_start_id_idx ON fired_alerts (alert_id, period_start, id);

CREATE TABLE billing_settings (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	payment_methods JSONB,
	alerts JSONB,
	cost_allocation JSONB NOT NULL,
	invoiced_from TIMESTAMPTZ,
	PRIMARY KEY (id)
);

CREATE TABLE invoices (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	month TEXT NOT NULL,
	period_start TIMESTAMPTZ NOT NULL,
	period_end TIMESTAMPTZ NOT NULL,
	status TEXT NOT NULL,
	number TEXT NOT NULL,
	currency TEXT NOT NULL,
	cost NUMERIC NOT NULL,
	total NUMERIC NOT NULL,
	letter JSONB NOT NULL,
	issued_at TIMESTAMPTZ,
	due_at TIMESTAMPTZ,
	overdue_at TIMESTAMPTZ,
	paid_at TIMESTAMPTZ,
	voided_at TIMESTAMPTZ,
	charge TEXT NOT NULL,
	card TEXT NOT NULL,
	refusals BIGINT NOT NULL,
	refusal TEXT NOT NULL,
	reference TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX invoices_org_id_period_start_team_id_key ON invoices (org_id, period_start, team_id);
CREATE INDEX invoices_org_id_created_at_idx ON invoices (org_id, created_at, id);
CREATE INDEX invoices_status_idx ON invoices (status, id);

CREATE TABLE invoice_lines (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	invoice_id TEXT NOT NULL,
	span_id TEXT NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	team TEXT NOT NULL,
	cost_center TEXT NOT NULL,
	model TEXT NOT NULL,
	adjustment BOOLEAN NOT NULL,
	starts_at TIMESTAMPTZ NOT NULL,
	ends_at TIMESTAMPTZ NOT NULL,
	requests BIGINT NOT NULL,
	tokens BIGINT NOT NULL,
	cost NUMERIC NOT NULL,
	amount NUMERIC NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX invoice_lines_invoice_id_idx ON invoice_lines (invoice_id, id);
CREATE INDEX invoice_lines_span_id_idx ON invoice_lines (span_id, id);

CREATE TABLE invoiced_spans (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	payer_id TEXT NOT NULL,
	starts_at TIMESTAMPTZ NOT NULL,
	ends_at TIMESTAMPTZ NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX invoiced_spans_org_id_starts_at_key ON invoiced_spans (org_id, starts_at);
CREATE INDEX invoiced_spans_payer_id_starts_at_idx ON invoiced_spans (payer_id, starts_at, id);

CREATE TABLE budget_accounts (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	budget_id TEXT NOT NULL,
	org_id TEXT NOT NULL,
	period_start TIMESTAMPTZ NOT NULL,
	period_end TIMESTAMPTZ NOT NULL,
	clock TEXT NOT NULL,
	hard BOOLEAN NOT NULL,
	"limit" NUMERIC NOT NULL,
	carried NUMERIC NOT NULL,
	moved NUMERIC NOT NULL,
	spent NUMERIC NOT NULL,
	reserved NUMERIC NOT NULL,
	over NUMERIC NOT NULL,
	forfeited NUMERIC NOT NULL,
	raises JSONB,
	limit_version BIGINT NOT NULL,
	told BIGINT NOT NULL,
	told_version BIGINT NOT NULL,
	PRIMARY KEY (id),
	-- A hard budget is never exceeded but by what is knowingly over it.
	CONSTRAINT budget_accounts_hard CHECK (NOT hard OR spent + reserved <= "limit" + over),
	CONSTRAINT budget_accounts_signs CHECK (spent >= 0 AND reserved >= 0 AND over >= 0 AND forfeited >= 0)
);
CREATE UNIQUE INDEX budget_accounts_budget_id_period_start_key ON budget_accounts (budget_id, period_start);
CREATE INDEX budget_accounts_budget_id_clock_period_start_idx ON budget_accounts (budget_id, clock, period_start, id);

CREATE TABLE budget_nodes (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	seq BIGINT NOT NULL,
	fenced BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX budget_nodes_fenced_id_idx ON budget_nodes (fenced, id);

CREATE TABLE budget_leases (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	node_id TEXT NOT NULL,
	account_id TEXT NOT NULL,
	amount BIGINT NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT budget_leases_sign CHECK (amount >= 0)
);
CREATE INDEX budget_leases_node_id_id_idx ON budget_leases (node_id, id);

CREATE TABLE budget_marks (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE budget_reservations (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	project_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	key_id TEXT NOT NULL,
	model TEXT NOT NULL,
	price_version TEXT NOT NULL,
	unpriced BOOLEAN NOT NULL,
	accounts JSONB,
	amount NUMERIC NOT NULL,
	actual NUMERIC NOT NULL,
	state TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX budget_reservations_org_id_created_at_idx ON budget_reservations (org_id, created_at, id);

CREATE TABLE budget_corrections (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	reservation_id TEXT NOT NULL,
	reference TEXT NOT NULL,
	amount NUMERIC NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX budget_corrections_org_id_reference_key ON budget_corrections (org_id, reference);
CREATE INDEX budget_corrections_reservation_id_id_idx ON budget_corrections (reservation_id, id);

CREATE TABLE rate_limits (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	scope TEXT NOT NULL,
	scope_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	model TEXT NOT NULL,
	name TEXT NOT NULL,
	requests_per_minute BIGINT,
	requests_per_hour BIGINT,
	requests_per_day BIGINT,
	tokens_per_minute BIGINT,
	tokens_per_hour BIGINT,
	tokens_per_day BIGINT,
	input_tokens_per_minute BIGINT,
	input_tokens_per_day BIGINT,
	max_parallel_requests BIGINT,
	fail_open BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX rate_limits_org_id_scope_scope_id_team_id_model_name_key ON rate_limits (org_id, scope, scope_id, team_id, model, name);
CREATE INDEX rate_limits_org_id_scope_id_idx ON rate_limits (org_id, scope_id, id);

-- Logs: words are numbers of log_words, times are microseconds.
CREATE TABLE audit_events (
	org_id BIGINT NOT NULL,
	at BIGINT NOT NULL,
	seq BIGINT NOT NULL,
	lag BIGINT NOT NULL,
	team_id BIGINT NOT NULL,
	kind BIGINT NOT NULL,
	manner BIGINT NOT NULL,
	actor BIGINT NOT NULL,
	resource BIGINT NOT NULL,
	body BYTEA NOT NULL,
	PRIMARY KEY (org_id, at)
);
CREATE INDEX audit_events_org_id_kind_at_idx ON audit_events (org_id, kind, at);
CREATE INDEX audit_events_org_id_actor_at_idx ON audit_events (org_id, actor, at);
CREATE INDEX audit_events_org_id_actor_kind_at_idx ON audit_events (org_id, actor, kind, at);
CREATE INDEX audit_events_org_id_resource_at_idx ON audit_events (org_id, resource, at);

CREATE TABLE audit_tree (
	org_id BIGINT NOT NULL,
	n BIGINT NOT NULL,
	at BIGINT NOT NULL,
	hashes BYTEA NOT NULL,
	PRIMARY KEY (org_id, n)
);

CREATE TABLE audit_seeds (
	org_id BIGINT NOT NULL,
	n BIGINT NOT NULL,
	seeds BYTEA NOT NULL,
	PRIMARY KEY (org_id, n)
);

CREATE TABLE audit_names (
	org_id BIGINT NOT NULL,
	kind BIGINT NOT NULL,
	name BIGINT NOT NULL,
	id BIGINT NOT NULL,
	PRIMARY KEY (org_id, kind, name, id)
);

CREATE TABLE audit_types (
	kind TEXT NOT NULL,
	PRIMARY KEY (kind)
);

CREATE TABLE audit_counts (
	org_id BIGINT NOT NULL,
	hour BIGINT NOT NULL,
	type TEXT NOT NULL,
	outcome TEXT NOT NULL,
	events BIGINT NOT NULL,
	PRIMARY KEY (org_id, hour, type, outcome)
);

CREATE TABLE audit_checkpoints (
	org_id BIGINT NOT NULL,
	size BIGINT NOT NULL,
	at BIGINT NOT NULL,
	edge BYTEA NOT NULL,
	note TEXT NOT NULL,
	PRIMARY KEY (org_id, size)
);

CREATE TABLE audit_prunes (
	org_id BIGINT NOT NULL,
	first BIGINT NOT NULL,
	at BIGINT NOT NULL,
	before BIGINT NOT NULL,
	edge BYTEA NOT NULL,
	PRIMARY KEY (org_id, first)
);

-- What waits here is soon gone, and its space is for what comes next: given back to the file system, a file that
-- grows again would cost each unit more than what its row does in space that is there already.
CREATE TABLE audit_pending (
	n BIGINT GENERATED ALWAYS AS IDENTITY,
	event BYTEA NOT NULL,
	PRIMARY KEY (n)
) WITH (vacuum_truncate = off);

CREATE TABLE audit_sequencers (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE audit_filters (
	org_id BIGINT NOT NULL,
	seq BIGINT NOT NULL,
	at BIGINT NOT NULL,
	globs TEXT NOT NULL,
	PRIMARY KEY (org_id, seq)
);

CREATE TABLE audit_configs (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	enabled BOOLEAN NOT NULL,
	retention_days BIGINT NOT NULL,
	hold_from TIMESTAMPTZ,
	events_to_log JSONB,
	decisions JSONB NOT NULL,
	destinations JSONB,
	compliance JSONB NOT NULL,
	prune_undelivered BOOLEAN NOT NULL,
	sealed JSONB,
	PRIMARY KEY (id)
);

CREATE TABLE audit_deliveries (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	type TEXT NOT NULL,
	next BIGINT NOT NULL,
	until BIGINT NOT NULL,
	status TEXT NOT NULL,
	reason TEXT NOT NULL,
	checked_at TIMESTAMPTZ,
	sent_at TIMESTAMPTZ,
	failures BIGINT NOT NULL,
	retry_at TIMESTAMPTZ,
	PRIMARY KEY (id)
);
CREATE INDEX audit_deliveries_org_id_idx ON audit_deliveries (org_id, id);

CREATE TABLE audit_holds (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	"from" TIMESTAMPTZ NOT NULL,
	reason TEXT NOT NULL,
	until TIMESTAMPTZ,
	PRIMARY KEY (id)
);
CREATE INDEX audit_holds_org_id_created_at_idx ON audit_holds (org_id, created_at, id);

-- Logs of jobs: those to run, those that wait in a lane behind another, dead letters.
CREATE TABLE jobs (
	kind BIGINT NOT NULL,
	due BIGINT NOT NULL,
	id TEXT NOT NULL,
	org_id BIGINT NOT NULL,
	lane TEXT NOT NULL,
	place BIGINT NOT NULL,
	"key" TEXT NOT NULL,
	keep BIGINT NOT NULL,
	payload TEXT NOT NULL,
	attempt BIGINT NOT NULL,
	lease TEXT NOT NULL,
	run_at BIGINT NOT NULL,
	enqueued_at BIGINT NOT NULL,
	error TEXT NOT NULL,
	PRIMARY KEY (kind, due, id)
);
CREATE INDEX jobs_id_idx ON jobs (id);

CREATE TABLE lane_jobs (
	kind BIGINT NOT NULL,
	due BIGINT NOT NULL,
	id TEXT NOT NULL,
	org_id BIGINT NOT NULL,
	lane TEXT NOT NULL,
	place BIGINT NOT NULL,
	"key" TEXT NOT NULL,
	keep BIGINT NOT NULL,
	payload TEXT NOT NULL,
	attempt BIGINT NOT NULL,
	lease TEXT NOT NULL,
	run_at BIGINT NOT NULL,
	enqueued_at BIGINT NOT NULL,
	error TEXT NOT NULL,
	PRIMARY KEY (kind, org_id, lane, place)
);

CREATE TABLE dead_jobs (
	kind BIGINT NOT NULL,
	due BIGINT NOT NULL,
	id TEXT NOT NULL,
	org_id BIGINT NOT NULL,
	lane TEXT NOT NULL,
	place BIGINT NOT NULL,
	"key" TEXT NOT NULL,
	keep BIGINT NOT NULL,
	payload TEXT NOT NULL,
	attempt BIGINT NOT NULL,
	lease TEXT NOT NULL,
	run_at BIGINT NOT NULL,
	enqueued_at BIGINT NOT NULL,
	error TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX dead_jobs_due_idx ON dead_jobs (due, id);
CREATE INDEX dead_jobs_org_id_due_idx ON dead_jobs (org_id, due, id);
CREATE INDEX dead_jobs_org_id_kind_due_idx ON dead_jobs (org_id, kind, due, id);

CREATE TABLE job_lanes (
	kind TEXT NOT NULL,
	org_id TEXT NOT NULL,
	lane TEXT NOT NULL,
	jobs BIGINT NOT NULL,
	last BIGINT NOT NULL,
	PRIMARY KEY (kind, org_id, lane)
);

CREATE TABLE job_keys (
	kind TEXT NOT NULL,
	org_id TEXT NOT NULL,
	"key" TEXT NOT NULL,
	job_id TEXT NOT NULL,
	forget_at BIGINT NOT NULL,
	PRIMARY KEY (kind, org_id, "key")
);
CREATE INDEX job_keys_forget_at_idx ON job_keys (forget_at, kind, org_id, "key");

CREATE TABLE schedules (
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL,
	name TEXT NOT NULL,
	kind TEXT NOT NULL,
	payload JSONB,
	cron TEXT NOT NULL,
	zone TEXT NOT NULL,
	catch_up TEXT NOT NULL,
	paused BOOLEAN NOT NULL,
	next_run_at TIMESTAMPTZ NOT NULL,
	last_run_at TIMESTAMPTZ,
	missed BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX schedules_org_id_name_key ON schedules (org_id, name);
CREATE INDEX schedules_paused_next_run_at_idx ON schedules (paused, next_run_at, id);

-- The dictionary of logs.
CREATE TABLE log_words (
	id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	word TEXT NOT NULL UNIQUE
);

-- What processes have claimed of the windows of rate limits, all together.
CREATE TABLE rate_windows (
	ends_at BIGINT NOT NULL,
	counter TEXT NOT NULL,
	claimed BIGINT NOT NULL,
	PRIMARY KEY (ends_at, counter)
);

-- Slots of calls that run at once, by the process that has them; of the node '' their sum.
CREATE TABLE rate_slots (
	slots TEXT NOT NULL,
	node TEXT NOT NULL,
	claimed BIGINT NOT NULL,
	PRIMARY KEY (slots, node)
);
CREATE INDEX rate_slots_node_idx ON rate_slots (node, slots);

-- Logs of what calls have used: the events, and what they add up to by spans and dimensions.
CREATE TABLE usage_events (
	org_id BIGINT NOT NULL,
	source TEXT NOT NULL,
	id TEXT NOT NULL,
	at BIGINT NOT NULL,
	caller BIGINT NOT NULL,
	"call" BIGINT NOT NULL,
	detail BYTEA NOT NULL,
	PRIMARY KEY (org_id, source, id)
);
CREATE INDEX usage_events_org_id_at_idx ON usage_events (org_id, at);

CREATE TABLE usage_rollups (
	org_id BIGINT NOT NULL,
	"of" BIGINT NOT NULL,
	"start" BIGINT NOT NULL,
	"value" TEXT NOT NULL,
	requests BIGINT NOT NULL,
	errors BIGINT NOT NULL,
	timed BIGINT NOT NULL,
	latency BIGINT NOT NULL,
	input_tokens BIGINT NOT NULL,
	cached_tokens BIGINT NOT NULL,
	output_tokens BIGINT NOT NULL,
	cost_micro BIGINT NOT NULL,
	cost_pico BIGINT NOT NULL,
	PRIMARY KEY (org_id, "of", "start", "value")
);

CREATE TABLE usage_latencies (
	org_id BIGINT NOT NULL,
	"of" BIGINT NOT NULL,
	"start" BIGINT NOT NULL,
	"value" TEXT NOT NULL,
	b0 BIGINT NOT NULL,
	b1 BIGINT NOT NULL,
	b2 BIGINT NOT NULL,
	b3 BIGINT NOT NULL,
	b4 BIGINT NOT NULL,
	b5 BIGINT NOT NULL,
	b6 BIGINT NOT NULL,
	b7 BIGINT NOT NULL,
	b8 BIGINT NOT NULL,
	b9 BIGINT NOT NULL,
	b10 BIGINT NOT NULL,
	b11 BIGINT NOT NULL,
	b12 BIGINT NOT NULL,
	b13 BIGINT NOT NULL,
	b14 BIGINT NOT NULL,
	b15 BIGINT NOT NULL,
	b16 BIGINT NOT NULL,
	b17 BIGINT NOT NULL,
	b18 BIGINT NOT NULL,
	b19 BIGINT NOT NULL,
	b20 BIGINT NOT NULL,
	b21 BIGINT NOT NULL,
	b22 BIGINT NOT NULL,
	b23 BIGINT NOT NULL,
	b24 BIGINT NOT NULL,
	b25 BIGINT NOT NULL,
	b26 BIGINT NOT NULL,
	b27 BIGINT NOT NULL,
	b28 BIGINT NOT NULL,
	b29 BIGINT NOT NULL,
	b30 BIGINT NOT NULL,
	b31 BIGINT NOT NULL,
	PRIMARY KEY (org_id, "of", "start", "value")
);

CREATE TABLE usage_users (
	org_id BIGINT NOT NULL,
	"of" BIGINT NOT NULL,
	"start" BIGINT NOT NULL,
	"value" TEXT NOT NULL,
	chunk BIGINT NOT NULL,
	u0 BIGINT NOT NULL,
	u1 BIGINT NOT NULL,
	u2 BIGINT NOT NULL,
	u3 BIGINT NOT NULL,
	u4 BIGINT NOT NULL,
	u5 BIGINT NOT NULL,
	u6 BIGINT NOT NULL,
	u7 BIGINT NOT NULL,
	PRIMARY KEY (org_id, "of", "start", "value", chunk)
);

CREATE TABLE usage_names (
	org_id BIGINT NOT NULL,
	kind BIGINT NOT NULL,
	name TEXT NOT NULL,
	n BIGINT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (org_id, kind, name)
);

CREATE TABLE usage_name_counts (
	org_id BIGINT NOT NULL,
	kind BIGINT NOT NULL,
	names BIGINT NOT NULL,
	PRIMARY KEY (org_id, kind)
);

CREATE TABLE usage_levels (
	org_id BIGINT NOT NULL,
	unit BIGINT NOT NULL,
	resource TEXT NOT NULL,
	at BIGINT NOT NULL,
	source TEXT NOT NULL,
	id TEXT NOT NULL,
	quantity BIGINT NOT NULL,
	PRIMARY KEY (org_id, unit, resource, at, source, id)
);
