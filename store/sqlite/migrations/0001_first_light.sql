-- The records of orgkit, one table per kind. Columns follow the fields of the records; the drift
-- test holds both against each other. Ids are texts made by the program.
-- Decimals are texts, so that no digit is lost; what holds between them is kept by the ledger.

CREATE TABLE users (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	email TEXT NOT NULL,
	email_key TEXT NOT NULL,
	name TEXT NOT NULL,
	email_verified BOOLEAN NOT NULL,
	state TEXT NOT NULL,
	alias_id TEXT,
	expires_at TEXT,
	home_id TEXT NOT NULL,
	platform_role_id TEXT NOT NULL,
	priority INTEGER NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX users_platform_role_id_idx ON users (platform_role_id, id);
CREATE UNIQUE INDEX users_email_key_key ON users (email_key);
CREATE UNIQUE INDEX users_alias_id_key ON users (alias_id);
CREATE INDEX users_created_at_idx ON users (created_at, id);

CREATE TABLE tokens (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	user_id TEXT NOT NULL,
	name TEXT NOT NULL,
	dialect TEXT NOT NULL,
	prefix TEXT NOT NULL,
	last4 TEXT NOT NULL,
	hash TEXT NOT NULL,
	expires_at TEXT,
	mfa_verified_at TEXT,
	revoked BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX tokens_hash_key ON tokens (hash);
CREATE INDEX tokens_user_id_created_at_idx ON tokens (user_id, created_at, id);
CREATE INDEX tokens_created_at_idx ON tokens (created_at, id);

CREATE TABLE sessions (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	user_id TEXT NOT NULL,
	hash TEXT NOT NULL,
	methods TEXT,
	expires_at TEXT NOT NULL,
	seen_at TEXT NOT NULL,
	mfa_verified_at TEXT,
	pending BOOLEAN NOT NULL,
	ip TEXT NOT NULL,
	user_agent TEXT NOT NULL,
	ended_at TEXT,
	ended_because TEXT NOT NULL,
	signed_in_by TEXT,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX sessions_hash_key ON sessions (hash);
CREATE INDEX sessions_user_id_created_at_idx ON sessions (user_id, created_at, id);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at, id);

CREATE TABLE kept_answers (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	digest TEXT NOT NULL,
	print TEXT NOT NULL,
	status INTEGER NOT NULL,
	header TEXT,
	body TEXT NOT NULL,
	expires_at TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX kept_answers_digest_key ON kept_answers (digest);
CREATE INDEX kept_answers_expires_at_idx ON kept_answers (expires_at, id);

CREATE TABLE authenticators (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	password TEXT NOT NULL,
	password_at TEXT,
	reset_hash TEXT,
	reset_ends TEXT,
	factor TEXT NOT NULL,
	factor_at TEXT,
	factor_step INTEGER NOT NULL,
	offered TEXT NOT NULL,
	offered_at TEXT,
	recovery TEXT,
	mfa_proved_at TEXT,
	places TEXT,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX authenticators_reset_hash_key ON authenticators (reset_hash);

CREATE TABLE signin_brakes (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	tries INTEGER NOT NULL,
	free_at TEXT NOT NULL,
	forget_at TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX signin_brakes_forget_at_idx ON signin_brakes (forget_at, id);

CREATE TABLE organizations (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	parent_id TEXT NOT NULL,
	name TEXT NOT NULL,
	slug TEXT NOT NULL,
	description TEXT NOT NULL,
	settings TEXT NOT NULL,
	metadata TEXT,
	tags TEXT,
	customizations TEXT,
	state TEXT NOT NULL,
	suspended_by TEXT NOT NULL,
	deleted_at TEXT,
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
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	"limit" TEXT,
	soft_limit TEXT,
	"window" TEXT NOT NULL,
	anchor TEXT NOT NULL,
	duration TEXT NOT NULL,
	tokens_per_minute INTEGER,
	requests_per_minute INTEGER,
	max_parallel_requests INTEGER,
	models TEXT,
	unknown_price TEXT NOT NULL,
	unknown_minimum TEXT,
	fail_open BOOLEAN NOT NULL,
	created_by TEXT NOT NULL,
	updated_by TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX allowances_created_at_idx ON allowances (created_at, id);

CREATE TABLE org_slugs (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	slug TEXT NOT NULL,
	org_id TEXT NOT NULL,
	until TEXT,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX org_slugs_slug_key ON org_slugs (slug);
CREATE INDEX org_slugs_org_id_idx ON org_slugs (org_id, id);

CREATE TABLE numbers (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	noun TEXT NOT NULL,
	number INTEGER NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX numbers_noun_number_key ON numbers (noun, number);

CREATE TABLE platform_roles (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	name TEXT NOT NULL,
	permissions TEXT,
	limited BOOLEAN NOT NULL,
	limits TEXT,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX platform_roles_org_id_name_key ON platform_roles (org_id, name);

CREATE TABLE platform_sso (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	rules TEXT,
	last_rule INTEGER NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE numberings (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	last INTEGER NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE teams (
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
	alias_id TEXT,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX teams_alias_id_key ON teams (alias_id);
CREATE UNIQUE INDEX teams_org_id_slug_key_key ON teams (org_id, slug_key);
CREATE INDEX teams_slug_key_idx ON teams (slug_key, id);

CREATE TABLE projects (
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
	metadata TEXT,
	tags TEXT,
	state TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX projects_created_at_idx ON projects (created_at, id);
CREATE UNIQUE INDEX projects_org_id_slug_key_key ON projects (org_id, slug_key);

CREATE TABLE invitations (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	email TEXT NOT NULL,
	email_key TEXT NOT NULL,
	role_id TEXT NOT NULL,
	role TEXT NOT NULL,
	message TEXT NOT NULL,
	permissions TEXT NOT NULL,
	status TEXT NOT NULL,
	days INTEGER NOT NULL,
	expires_at TEXT NOT NULL,
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
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	project_id TEXT NOT NULL,
	name TEXT NOT NULL,
	description TEXT NOT NULL,
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
	dialect TEXT NOT NULL,
	blocked_by TEXT NOT NULL,
	revoked_at TEXT,
	expires_at TEXT,
	previous_hash TEXT,
	previous_expires_at TEXT,
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
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	used_at TEXT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE webhooks (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	url TEXT NOT NULL,
	description TEXT NOT NULL,
	events TEXT,
	status TEXT NOT NULL,
	status_reason TEXT NOT NULL,
	status_at TEXT NOT NULL,
	sealed TEXT NOT NULL,
	secret_at TEXT NOT NULL,
	previous_sealed TEXT NOT NULL,
	previous_ends_at TEXT,
	PRIMARY KEY (id)
);
CREATE INDEX webhooks_org_id_created_at_idx ON webhooks (org_id, created_at, id);

CREATE TABLE webhook_calls (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	succeeded_at TEXT,
	failed_at TEXT,
	failed_reason TEXT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE provisionings (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	enabled BOOLEAN NOT NULL,
	base_url TEXT NOT NULL,
	auto_provision BOOLEAN NOT NULL,
	auto_deprovision BOOLEAN NOT NULL,
	sync_groups BOOLEAN NOT NULL,
	role_mapping TEXT,
	default_role TEXT NOT NULL,
	allowed_roles TEXT,
	link TEXT NOT NULL,
	local_edits BOOLEAN NOT NULL,
	domains TEXT,
	PRIMARY KEY (id)
);

CREATE TABLE scim_tokens (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	name TEXT NOT NULL,
	hint TEXT NOT NULL,
	hash TEXT NOT NULL,
	expires_at TEXT,
	of_sso BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX scim_tokens_hash_key ON scim_tokens (hash);
CREATE INDEX scim_tokens_org_id_created_at_idx ON scim_tokens (org_id, created_at, id);

CREATE TABLE sso_configs (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	provider TEXT NOT NULL,
	protocol TEXT NOT NULL,
	enabled BOOLEAN NOT NULL,
	url TEXT NOT NULL,
	issuer TEXT NOT NULL,
	certs TEXT,
	client_id TEXT NOT NULL,
	secret TEXT NOT NULL,
	secret_at TEXT,
	scopes TEXT,
	algs TEXT,
	attributes TEXT NOT NULL,
	mfa_contexts TEXT,
	force_authn BOOLEAN NOT NULL,
	sign_requests BOOLEAN NOT NULL,
	unsolicited BOOLEAN NOT NULL,
	skew_seconds INTEGER NOT NULL,
	break_glass TEXT,
	proved_at TEXT,
	warned INTEGER NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE sso_links (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
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
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	forget_at TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX sso_seen_forget_at_idx ON sso_seen (forget_at, id);

CREATE TABLE provisioned_users (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	user_name TEXT NOT NULL,
	user_name_key TEXT NOT NULL,
	external_id TEXT,
	active BOOLEAN NOT NULL,
	made BOOLEAN NOT NULL,
	attributes TEXT,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX provisioned_users_org_id_user_name_key_key ON provisioned_users (org_id, user_name_key);
CREATE UNIQUE INDEX provisioned_users_org_id_external_id_key ON provisioned_users (org_id, external_id);
CREATE UNIQUE INDEX provisioned_users_org_id_user_id_key ON provisioned_users (org_id, user_id);
CREATE INDEX provisioned_users_org_id_idx ON provisioned_users (org_id, id);
CREATE INDEX provisioned_users_user_id_idx ON provisioned_users (user_id, id);

CREATE TABLE provisioned_emails (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	value_key TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX provisioned_emails_user_id_value_key_key ON provisioned_emails (user_id, value_key);
CREATE INDEX provisioned_emails_org_id_value_key_idx ON provisioned_emails (org_id, value_key, id);

CREATE TABLE provisioned_departures (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
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
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
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
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
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
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	parent_id TEXT NOT NULL,
	zone TEXT NOT NULL,
	state TEXT NOT NULL,
	revision INTEGER NOT NULL,
	trail TEXT NOT NULL,
	allowed_i_ps TEXT,
	allowed_i_ps_data BOOLEAN NOT NULL,
	require_mfa BOOLEAN NOT NULL,
	session_minutes INTEGER NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX scopes_parent_id_idx ON scopes (parent_id, id);

CREATE TABLE assignments (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	subject TEXT NOT NULL,
	kind TEXT NOT NULL,
	state TEXT NOT NULL,
	role_id TEXT NOT NULL,
	source TEXT NOT NULL,
	given TEXT,
	"add" TEXT,
	remove TEXT,
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
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	state TEXT NOT NULL,
	allowed TEXT,
	limited BOOLEAN NOT NULL,
	blocked TEXT,
	require_approval TEXT,
	features_off TEXT,
	objects TEXT,
	PRIMARY KEY (id)
);
CREATE INDEX restrictions_org_id_idx ON restrictions (org_id, id);

CREATE TABLE roles (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	name TEXT NOT NULL,
	slug TEXT NOT NULL,
	slug_key TEXT NOT NULL,
	description TEXT NOT NULL,
	permissions TEXT,
	inherited BOOLEAN NOT NULL,
	is_system BOOLEAN NOT NULL,
	adopted BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX roles_org_id_slug_key_key ON roles (org_id, slug_key);

CREATE TABLE overrides (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	role_id TEXT NOT NULL,
	role TEXT NOT NULL,
	"add" TEXT,
	remove TEXT,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX overrides_team_id_role_id_key ON overrides (team_id, role_id);
CREATE INDEX overrides_org_id_created_at_idx ON overrides (org_id, created_at, id);

CREATE TABLE policies (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	statements TEXT,
	enabled BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX policies_org_id_team_id_name_key ON policies (org_id, team_id, name);

CREATE TABLE approvals (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	requester TEXT NOT NULL,
	action TEXT NOT NULL,
	resource TEXT NOT NULL,
	reason TEXT NOT NULL,
	status TEXT NOT NULL,
	requirements TEXT,
	decisions TEXT,
	ends_at TEXT NOT NULL,
	max_amount TEXT,
	amount TEXT,
	until TEXT,
	PRIMARY KEY (id)
);
CREATE INDEX approvals_team_id_requester_resource_created_at_idx ON approvals (team_id, requester, resource, created_at, id);
CREATE INDEX approvals_org_id_created_at_idx ON approvals (org_id, created_at, id);
CREATE INDEX approvals_org_id_status_ends_at_idx ON approvals (org_id, status, ends_at, id);
CREATE INDEX approvals_status_ends_at_idx ON approvals (status, ends_at, id);

CREATE TABLE budgets (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	scope TEXT NOT NULL,
	scope_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	name TEXT NOT NULL,
	"limit" TEXT NOT NULL,
	"window" TEXT NOT NULL,
	zone TEXT NOT NULL,
	anchor TEXT NOT NULL,
	hard BOOLEAN NOT NULL,
	rollover BOOLEAN NOT NULL,
	rollover_cap TEXT,
	soft_limit TEXT,
	limit_override TEXT,
	suspended BOOLEAN NOT NULL,
	suspended_by TEXT NOT NULL,
	suspended_until TEXT,
	alert_threshold TEXT,
	thresholds TEXT,
	unknown_price TEXT NOT NULL,
	unknown_minimum TEXT,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX budgets_org_id_scope_scope_id_team_id_name_key ON budgets (org_id, scope, scope_id, team_id, name);
CREATE INDEX budgets_suspended_id_idx ON budgets (suspended, id);

CREATE TABLE fired_alerts (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	alert_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	budget_id TEXT NOT NULL,
	scope TEXT NOT NULL,
	scope_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	threshold TEXT NOT NULL,
	spent TEXT NOT NULL,
	reference TEXT NOT NULL,
	suspended BOOLEAN NOT NULL,
	period_start TEXT NOT NULL,
	period_end TEXT NOT NULL,
	limit_version INTEGER NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX fired_alerts_org_id_created_at_idx ON fired_alerts (org_id, created_at, id);
CREATE INDEX fired_alerts_alert_id_period_start_id_idx ON fired_alerts (alert_id, period_start, id);

CREATE TABLE billing_settings (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	payment_methods TEXT,
	alerts TEXT,
	cost_allocation TEXT NOT NULL,
	invoiced_from TEXT,
	PRIMARY KEY (id)
);

CREATE TABLE invoices (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	month TEXT NOT NULL,
	period_start TEXT NOT NULL,
	period_end TEXT NOT NULL,
	status TEXT NOT NULL,
	number TEXT NOT NULL,
	currency TEXT NOT NULL,
	cost TEXT NOT NULL,
	total TEXT NOT NULL,
	letter TEXT NOT NULL,
	issued_at TEXT,
	due_at TEXT,
	overdue_at TEXT,
	paid_at TEXT,
	voided_at TEXT,
	charge TEXT NOT NULL,
	card TEXT NOT NULL,
	refusals INTEGER NOT NULL,
	refusal TEXT NOT NULL,
	reference TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX invoices_org_id_period_start_team_id_key ON invoices (org_id, period_start, team_id);
CREATE INDEX invoices_org_id_created_at_idx ON invoices (org_id, created_at, id);
CREATE INDEX invoices_status_idx ON invoices (status, id);

CREATE TABLE invoice_lines (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	invoice_id TEXT NOT NULL,
	span_id TEXT NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	team TEXT NOT NULL,
	cost_center TEXT NOT NULL,
	model TEXT NOT NULL,
	adjustment BOOLEAN NOT NULL,
	starts_at TEXT NOT NULL,
	ends_at TEXT NOT NULL,
	requests INTEGER NOT NULL,
	tokens INTEGER NOT NULL,
	cost TEXT NOT NULL,
	amount TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX invoice_lines_invoice_id_idx ON invoice_lines (invoice_id, id);
CREATE INDEX invoice_lines_span_id_idx ON invoice_lines (span_id, id);

CREATE TABLE invoiced_spans (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	payer_id TEXT NOT NULL,
	starts_at TEXT NOT NULL,
	ends_at TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX invoiced_spans_org_id_starts_at_key ON invoiced_spans (org_id, starts_at);
CREATE INDEX invoiced_spans_payer_id_starts_at_idx ON invoiced_spans (payer_id, starts_at, id);

CREATE TABLE budget_accounts (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	budget_id TEXT NOT NULL,
	org_id TEXT NOT NULL,
	period_start TEXT NOT NULL,
	period_end TEXT NOT NULL,
	clock TEXT NOT NULL,
	hard BOOLEAN NOT NULL,
	"limit" TEXT NOT NULL,
	carried TEXT NOT NULL,
	moved TEXT NOT NULL,
	spent TEXT NOT NULL,
	reserved TEXT NOT NULL,
	over TEXT NOT NULL,
	forfeited TEXT NOT NULL,
	raises TEXT,
	limit_version INTEGER NOT NULL,
	told INTEGER NOT NULL,
	told_version INTEGER NOT NULL,
	PRIMARY KEY (id),
	-- A hard budget is never exceeded but by what is knowingly over it. Amounts are text, which does not compare as
	-- numbers do: the difference of the whole units comes first, and that of 1e-12 where it matters.
	CONSTRAINT budget_accounts_hard CHECK (NOT hard
		OR CAST(spent AS INTEGER) + CAST(reserved AS INTEGER) - CAST("limit" AS INTEGER) - CAST(over AS INTEGER) <= -2
		OR CAST(spent AS INTEGER) + CAST(reserved AS INTEGER) - CAST("limit" AS INTEGER) - CAST(over AS INTEGER) BETWEEN -1 AND 1
			AND (CAST(spent AS INTEGER) + CAST(reserved AS INTEGER) - CAST("limit" AS INTEGER) - CAST(over AS INTEGER)) * 1000000000000
			+ CAST(substr(CASE instr(spent, '.') WHEN 0 THEN '' ELSE substr(spent, instr(spent, '.') + 1) END || '000000000000', 1, 12) AS INTEGER)
			+ CAST(substr(CASE instr(reserved, '.') WHEN 0 THEN '' ELSE substr(reserved, instr(reserved, '.') + 1) END || '000000000000', 1, 12) AS INTEGER)
			- CAST(substr(CASE instr("limit", '.') WHEN 0 THEN '' ELSE substr("limit", instr("limit", '.') + 1) END || '000000000000', 1, 12) AS INTEGER)
			- CAST(substr(CASE instr(over, '.') WHEN 0 THEN '' ELSE substr(over, instr(over, '.') + 1) END || '000000000000', 1, 12) AS INTEGER) <= 0),
	CONSTRAINT budget_accounts_signs CHECK (spent NOT LIKE '-%' AND reserved NOT LIKE '-%' AND over NOT LIKE '-%' AND forfeited NOT LIKE '-%')
);
CREATE UNIQUE INDEX budget_accounts_budget_id_period_start_key ON budget_accounts (budget_id, period_start);
CREATE INDEX budget_accounts_budget_id_clock_period_start_idx ON budget_accounts (budget_id, clock, period_start, id);

CREATE TABLE budget_nodes (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	seq INTEGER NOT NULL,
	fenced BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX budget_nodes_fenced_id_idx ON budget_nodes (fenced, id);

CREATE TABLE budget_leases (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	node_id TEXT NOT NULL,
	account_id TEXT NOT NULL,
	amount INTEGER NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT budget_leases_sign CHECK (amount >= 0)
);
CREATE INDEX budget_leases_node_id_id_idx ON budget_leases (node_id, id);

CREATE TABLE budget_marks (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE budget_reservations (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	project_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	key_id TEXT NOT NULL,
	model TEXT NOT NULL,
	price_version TEXT NOT NULL,
	unpriced BOOLEAN NOT NULL,
	accounts TEXT,
	amount TEXT NOT NULL,
	actual TEXT NOT NULL,
	state TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX budget_reservations_org_id_created_at_idx ON budget_reservations (org_id, created_at, id);

CREATE TABLE budget_corrections (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	reservation_id TEXT NOT NULL,
	reference TEXT NOT NULL,
	amount TEXT NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX budget_corrections_org_id_reference_key ON budget_corrections (org_id, reference);
CREATE INDEX budget_corrections_reservation_id_id_idx ON budget_corrections (reservation_id, id);

CREATE TABLE rate_limits (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	scope TEXT NOT NULL,
	scope_id TEXT NOT NULL,
	team_id TEXT NOT NULL,
	model TEXT NOT NULL,
	name TEXT NOT NULL,
	requests_per_minute INTEGER,
	requests_per_hour INTEGER,
	requests_per_day INTEGER,
	tokens_per_minute INTEGER,
	tokens_per_hour INTEGER,
	tokens_per_day INTEGER,
	input_tokens_per_minute INTEGER,
	input_tokens_per_day INTEGER,
	max_parallel_requests INTEGER,
	fail_open BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX rate_limits_org_id_scope_scope_id_team_id_model_name_key ON rate_limits (org_id, scope, scope_id, team_id, model, name);
CREATE INDEX rate_limits_org_id_scope_id_idx ON rate_limits (org_id, scope_id, id);

-- Logs: words are numbers of log_words, times are microseconds.
CREATE TABLE audit_events (
	org_id INTEGER NOT NULL,
	at INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	lag INTEGER NOT NULL,
	team_id INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	manner INTEGER NOT NULL,
	actor INTEGER NOT NULL,
	resource INTEGER NOT NULL,
	body BLOB NOT NULL,
	PRIMARY KEY (org_id, at)
) WITHOUT ROWID;
CREATE INDEX audit_events_org_id_kind_at_idx ON audit_events (org_id, kind, at);
CREATE INDEX audit_events_org_id_actor_at_idx ON audit_events (org_id, actor, at);
CREATE INDEX audit_events_org_id_actor_kind_at_idx ON audit_events (org_id, actor, kind, at);
CREATE INDEX audit_events_org_id_resource_at_idx ON audit_events (org_id, resource, at);

CREATE TABLE audit_tree (
	org_id INTEGER NOT NULL,
	n INTEGER NOT NULL,
	at INTEGER NOT NULL,
	hashes BLOB NOT NULL,
	PRIMARY KEY (org_id, n)
) WITHOUT ROWID;

CREATE TABLE audit_seeds (
	org_id INTEGER NOT NULL,
	n INTEGER NOT NULL,
	seeds BLOB NOT NULL,
	PRIMARY KEY (org_id, n)
) WITHOUT ROWID;

CREATE TABLE audit_names (
	org_id INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	name INTEGER NOT NULL,
	id INTEGER NOT NULL,
	PRIMARY KEY (org_id, kind, name, id)
) WITHOUT ROWID;

CREATE TABLE audit_types (
	kind TEXT NOT NULL,
	PRIMARY KEY (kind)
) WITHOUT ROWID;

CREATE TABLE audit_counts (
	org_id INTEGER NOT NULL,
	hour INTEGER NOT NULL,
	type TEXT NOT NULL,
	outcome TEXT NOT NULL,
	events INTEGER NOT NULL,
	PRIMARY KEY (org_id, hour, type, outcome)
) WITHOUT ROWID;

CREATE TABLE audit_checkpoints (
	org_id INTEGER NOT NULL,
	size INTEGER NOT NULL,
	at INTEGER NOT NULL,
	edge BLOB NOT NULL,
	note TEXT NOT NULL,
	PRIMARY KEY (org_id, size)
) WITHOUT ROWID;

CREATE TABLE audit_prunes (
	org_id INTEGER NOT NULL,
	first INTEGER NOT NULL,
	at INTEGER NOT NULL,
	before INTEGER NOT NULL,
	edge BLOB NOT NULL,
	PRIMARY KEY (org_id, first)
) WITHOUT ROWID;

CREATE TABLE audit_pending (
	n INTEGER NOT NULL,
	event BLOB NOT NULL,
	PRIMARY KEY (n)
);

CREATE TABLE audit_sequencers (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE audit_filters (
	org_id INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	at INTEGER NOT NULL,
	globs TEXT NOT NULL,
	PRIMARY KEY (org_id, seq)
) WITHOUT ROWID;

CREATE TABLE audit_configs (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	enabled BOOLEAN NOT NULL,
	retention_days INTEGER NOT NULL,
	hold_from TEXT,
	events_to_log TEXT,
	decisions TEXT NOT NULL,
	destinations TEXT,
	compliance TEXT NOT NULL,
	prune_undelivered BOOLEAN NOT NULL,
	sealed TEXT,
	PRIMARY KEY (id)
);

CREATE TABLE audit_deliveries (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	type TEXT NOT NULL,
	next INTEGER NOT NULL,
	until INTEGER NOT NULL,
	status TEXT NOT NULL,
	reason TEXT NOT NULL,
	checked_at TEXT,
	sent_at TEXT,
	failures INTEGER NOT NULL,
	retry_at TEXT,
	PRIMARY KEY (id)
);
CREATE INDEX audit_deliveries_org_id_idx ON audit_deliveries (org_id, id);

CREATE TABLE audit_holds (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	"from" TEXT NOT NULL,
	reason TEXT NOT NULL,
	until TEXT,
	PRIMARY KEY (id)
);
CREATE INDEX audit_holds_org_id_created_at_idx ON audit_holds (org_id, created_at, id);

-- Logs of jobs: those to run, those that wait in a lane behind another, dead letters.
CREATE TABLE jobs (
	kind INTEGER NOT NULL,
	due INTEGER NOT NULL,
	id TEXT NOT NULL,
	org_id INTEGER NOT NULL,
	lane TEXT NOT NULL,
	place INTEGER NOT NULL,
	"key" TEXT NOT NULL,
	keep INTEGER NOT NULL,
	payload TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	lease TEXT NOT NULL,
	run_at INTEGER NOT NULL,
	enqueued_at INTEGER NOT NULL,
	error TEXT NOT NULL,
	PRIMARY KEY (kind, due, id)
) WITHOUT ROWID;
CREATE INDEX jobs_id_idx ON jobs (id);

CREATE TABLE lane_jobs (
	kind INTEGER NOT NULL,
	due INTEGER NOT NULL,
	id TEXT NOT NULL,
	org_id INTEGER NOT NULL,
	lane TEXT NOT NULL,
	place INTEGER NOT NULL,
	"key" TEXT NOT NULL,
	keep INTEGER NOT NULL,
	payload TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	lease TEXT NOT NULL,
	run_at INTEGER NOT NULL,
	enqueued_at INTEGER NOT NULL,
	error TEXT NOT NULL,
	PRIMARY KEY (kind, org_id, lane, place)
) WITHOUT ROWID;

CREATE TABLE dead_jobs (
	kind INTEGER NOT NULL,
	due INTEGER NOT NULL,
	id TEXT NOT NULL,
	org_id INTEGER NOT NULL,
	lane TEXT NOT NULL,
	place INTEGER NOT NULL,
	"key" TEXT NOT NULL,
	keep INTEGER NOT NULL,
	payload TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	lease TEXT NOT NULL,
	run_at INTEGER NOT NULL,
	enqueued_at INTEGER NOT NULL,
	error TEXT NOT NULL,
	PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX dead_jobs_due_idx ON dead_jobs (due, id);
CREATE INDEX dead_jobs_org_id_due_idx ON dead_jobs (org_id, due, id);
CREATE INDEX dead_jobs_org_id_kind_due_idx ON dead_jobs (org_id, kind, due, id);

CREATE TABLE job_lanes (
	kind TEXT NOT NULL,
	org_id TEXT NOT NULL,
	lane TEXT NOT NULL,
	jobs INTEGER NOT NULL,
	last INTEGER NOT NULL,
	PRIMARY KEY (kind, org_id, lane)
) WITHOUT ROWID;

CREATE TABLE job_keys (
	kind TEXT NOT NULL,
	org_id TEXT NOT NULL,
	"key" TEXT NOT NULL,
	job_id TEXT NOT NULL,
	forget_at INTEGER NOT NULL,
	PRIMARY KEY (kind, org_id, "key")
) WITHOUT ROWID;
CREATE INDEX job_keys_forget_at_idx ON job_keys (forget_at, kind, org_id, "key");

CREATE TABLE schedules (
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL,
	name TEXT NOT NULL,
	kind TEXT NOT NULL,
	payload TEXT,
	cron TEXT NOT NULL,
	zone TEXT NOT NULL,
	catch_up TEXT NOT NULL,
	paused BOOLEAN NOT NULL,
	next_run_at TEXT NOT NULL,
	last_run_at TEXT,
	missed INTEGER NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX schedules_org_id_name_key ON schedules (org_id, name);
CREATE INDEX schedules_paused_next_run_at_idx ON schedules (paused, next_run_at, id);

-- The dictionary of logs.
CREATE TABLE log_words (
	id INTEGER PRIMARY KEY,
	word TEXT NOT NULL UNIQUE
);

-- What processes have claimed of the windows of rate limits, all together.
CREATE TABLE rate_windows (
	ends_at INTEGER NOT NULL,
	counter TEXT NOT NULL,
	claimed INTEGER NOT NULL,
	PRIMARY KEY (ends_at, counter)
) WITHOUT ROWID;

-- Slots of calls that run at once, by the process that has them; of the node '' their sum.
CREATE TABLE rate_slots (
	slots TEXT NOT NULL,
	node TEXT NOT NULL,
	claimed INTEGER NOT NULL,
	PRIMARY KEY (slots, node)
) WITHOUT ROWID;
CREATE INDEX rate_slots_node_idx ON rate_slots (node, slots);

-- Logs of what calls have used: the events, and what they add up to by spans and dimensions.
CREATE TABLE usage_events (
	org_id INTEGER NOT NULL,
	source TEXT NOT NULL,
	id TEXT NOT NULL,
	at INTEGER NOT NULL,
	caller INTEGER NOT NULL,
	"call" INTEGER NOT NULL,
	detail BLOB NOT NULL,
	PRIMARY KEY (org_id, source, id)
) WITHOUT ROWID;
CREATE INDEX usage_events_org_id_at_idx ON usage_events (org_id, at);

CREATE TABLE usage_rollups (
	org_id INTEGER NOT NULL,
	"of" INTEGER NOT NULL,
	"start" INTEGER NOT NULL,
	"value" TEXT NOT NULL,
	requests INTEGER NOT NULL,
	errors INTEGER NOT NULL,
	timed INTEGER NOT NULL,
	latency INTEGER NOT NULL,
	input_tokens INTEGER NOT NULL,
	cached_tokens INTEGER NOT NULL,
	output_tokens INTEGER NOT NULL,
	cost_micro INTEGER NOT NULL,
	cost_pico INTEGER NOT NULL,
	PRIMARY KEY (org_id, "of", "start", "value")
) WITHOUT ROWID;

CREATE TABLE usage_latencies (
	org_id INTEGER NOT NULL,
	"of" INTEGER NOT NULL,
	"start" INTEGER NOT NULL,
	"value" TEXT NOT NULL,
	b0 INTEGER NOT NULL,
	b1 INTEGER NOT NULL,
	b2 INTEGER NOT NULL,
	b3 INTEGER NOT NULL,
	b4 INTEGER NOT NULL,
	b5 INTEGER NOT NULL,
	b6 INTEGER NOT NULL,
	b7 INTEGER NOT NULL,
	b8 INTEGER NOT NULL,
	b9 INTEGER NOT NULL,
	b10 INTEGER NOT NULL,
	b11 INTEGER NOT NULL,
	b12 INTEGER NOT NULL,
	b13 INTEGER NOT NULL,
	b14 INTEGER NOT NULL,
	b15 INTEGER NOT NULL,
	b16 INTEGER NOT NULL,
	b17 INTEGER NOT NULL,
	b18 INTEGER NOT NULL,
	b19 INTEGER NOT NULL,
	b20 INTEGER NOT NULL,
	b21 INTEGER NOT NULL,
	b22 INTEGER NOT NULL,
	b23 INTEGER NOT NULL,
	b24 INTEGER NOT NULL,
	b25 INTEGER NOT NULL,
	b26 INTEGER NOT NULL,
	b27 INTEGER NOT NULL,
	b28 INTEGER NOT NULL,
	b29 INTEGER NOT NULL,
	b30 INTEGER NOT NULL,
	b31 INTEGER NOT NULL,
	PRIMARY KEY (org_id, "of", "start", "value")
) WITHOUT ROWID;

CREATE TABLE usage_users (
	org_id INTEGER NOT NULL,
	"of" INTEGER NOT NULL,
	"start" INTEGER NOT NULL,
	"value" TEXT NOT NULL,
	chunk INTEGER NOT NULL,
	u0 INTEGER NOT NULL,
	u1 INTEGER NOT NULL,
	u2 INTEGER NOT NULL,
	u3 INTEGER NOT NULL,
	u4 INTEGER NOT NULL,
	u5 INTEGER NOT NULL,
	u6 INTEGER NOT NULL,
	u7 INTEGER NOT NULL,
	PRIMARY KEY (org_id, "of", "start", "value", chunk)
) WITHOUT ROWID;

CREATE TABLE usage_names (
	org_id INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	name TEXT NOT NULL,
	n INTEGER NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (org_id, kind, name)
) WITHOUT ROWID;

CREATE TABLE usage_name_counts (
	org_id INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	names INTEGER NOT NULL,
	PRIMARY KEY (org_id, kind)
) WITHOUT ROWID;

CREATE TABLE usage_levels (
	org_id INTEGER NOT NULL,
	unit INTEGER NOT NULL,
	resource TEXT NOT NULL,
	at INTEGER NOT NULL,
	source TEXT NOT NULL,
	id TEXT NOT NULL,
	quantity INTEGER NOT NULL,
	PRIMARY KEY (org_id, unit, resource, at, source, id)
) WITHOUT ROWID;
