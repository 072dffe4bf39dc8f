package litellm

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

var keyFields = []string{"organization_id", "team_id", "user_id", "key_alias", "max_budget", "soft_budget", "budget_duration", "tpm_limit", "rpm_limit", "max_parallel_requests", "duration",
	"metadata", "key_type", "blocked", "models", "aliases", "allowed_routes", "budget_id", "key", "tags", "object_permission", "model_max_budget", "project_id"}

// keyPrefix begins every key that is made here.
const keyPrefix = "sk-"

// What keys may do: those of a person whatever that one may, others call models.
var (
	personal = []string{"*"}
	calling  = []string{"models.use", "models.read", "api_keys.use"}
	reading  = []string{"*.read"}
)

func keyName(alias string) string {
	if alias == "" {
		return "key " + shortID()
	}
	return alias
}

// newKey is POST /key/generate.
func (c *call) newKey() (any, error) {
	in := orgs.NewAPIKey{Name: keyName(c.in.text("key_alias").v), Prefix: keyPrefix, Dialect: Dialect}
	org, team, user, typ := c.in.text("organization_id").v, c.in.text("team_id").v, c.in.text("user_id").v, c.in.text("key_type").v
	metadata, blocked := c.in.object("metadata"), c.in.boolean("blocked").v
	if err := c.in.err(); err != nil {
		return nil, err
	}
	if metadata.some() {
		in.Metadata = c.in.given["metadata"]
	}
	if err := c.keyRestrictions(&in.Restrictions); err != nil {
		return nil, err
	}
	if err := c.unsupported("allowed_routes", "budget_id", "key", "tags", "model_max_budget", "project_id"); err != nil {
		return nil, err
	}
	limits, _, err := c.limits(orgs.AllowanceLimits{})
	if err != nil {
		return nil, err
	}
	if in.ExpiresAt, err = parseExpiry(c.in.text("duration").v, c.now()); err != nil {
		return nil, err
	}
	switch typ {
	case "", "default":
		if in.Permissions = calling; user != "" || c.by.Person() != "" {
			in.Permissions = personal
		}
	case "llm_api":
		in.Permissions = calling
	case "read_only":
		in.Permissions = reading
	default:
		return nil, detail(http.StatusBadRequest, "key_type must be default, llm_api or read_only")
	}
	o, t, err := c.keyPlace(org, team)
	if err != nil {
		return nil, err
	}
	in.Organization, in.Team, in.InheritTeam = o.ID, t.ID, t.ID != ""
	own, err := c.ownKey(o, t, user, &in)
	switch {
	case err != nil:
		return nil, err
	case own:
		user = ""
	case user != "" || c.admin():
		in.User = &user
	}
	var k orgs.APIKey
	var secret string
	err = c.svc.Together(c.ctx(), func(ctx context.Context) error {
		if user != "" {
			if _, err := c.svc.Member(ctx, orgs.Place{OrgID: o.ID, TeamID: t.ID}, user); err != nil {
				return as(err, store.ErrNotFound, detail(http.StatusBadRequest, "user_id="+plain(user)+" is no member of the key's organization or team"))
			}
		}
		if k, secret, err = c.svc.CreateAPIKey(ctx, in); err != nil {
			return err
		}
		if own { // limits of a key of one's own take nothing that anybody else has set
			ctx = audit.WithActor(ctx, audit.Actor{Type: audit.Internal, ID: "limits of a new key", Label: "limits of a new key", OnBehalfOf: c.by.Person()}.From(ctx))
		}
		if limits.Limit != nil || limits.SoftLimit != nil {
			b := spending(limits)
			b.OrgID, b.Scope, b.ScopeID = o.ID, billing.ScopeKey, k.ID
			if _, err := c.svc.SetBudget(ctx, b); err != nil {
				return err
			}
		}
		if limits.TokensPerMinute != nil || limits.RequestsPerMinute != nil || limits.MaxParallelRequests != nil {
			if _, err := c.svc.SetRateLimit(ctx, billing.RateLimit{OrgID: o.ID, Scope: billing.ScopeKey, ScopeID: k.ID,
				TokensPerMinute: limits.TokensPerMinute, RequestsPerMinute: limits.RequestsPerMinute, MaxParallelRequests: limits.MaxParallelRequests, FailOpen: limits.FailOpen}); err != nil {
				return err
			}
		}
		if blocked {
			k, err = c.svc.DisableAPIKey(ctx, k.ID, "blocked")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	row, err := c.keyRow(k)
	row.MaxBudget, row.SoftBudget, row.Duration = dollars(limits.Limit), dollars(limits.SoftLimit), optional(limits.Duration)
	row.TPM, row.RPM, row.MaxParallel = limits.TokensPerMinute, limits.RequestsPerMinute, limits.MaxParallelRequests
	return newKeyRow{secret, k.Hash, row}, err
}

// keyRestrictions reads the models of a key, other names of them, and what its calls may use beside.
func (c *call) keyRestrictions(r *orgs.KeyRestrictions) (err error) {
	if allowed := allowedModels(c.in.texts("models").v); allowed != nil {
		r.Models = &orgs.KeyModels{Allowed: allowed}
	}
	if r.ModelAliases = c.names("aliases", nil); len(r.ModelAliases) == 0 {
		r.ModelAliases = nil
	}
	if r.Objects, err = c.permission(nil); err != nil {
		return err
	}
	return c.in.err()
}

// ownKey says whether people make a key for themselves who may make none for others: it does what they may, and nothing as
// their team.
func (c *call) ownKey(o orgs.Organization, t orgs.Team, user string, in *orgs.NewAPIKey) (bool, error) {
	if c.admin() || c.by.Person() == "" {
		return false, nil
	}
	me, err := c.svc.Member(c.ctx(), orgs.Place{OrgID: o.ID, TeamID: t.ID}, "me")
	var denied *rbac.Denied
	switch {
	case errors.Is(err, store.ErrNotFound), errors.As(err, &denied):
		return false, nil // the service refuses
	case err != nil:
		return false, err
	case slices.Contains(me.Effective, "*"), slices.Contains(me.Effective, "api_keys.create"):
		return false, nil
	case user != "" && user != me.User.ID && user != me.User.PublicID():
		return false, wrapped(http.StatusForbidden, "auth_error", none, "You can only create keys for yourself")
	}
	in.InheritTeam = false
	if !slices.Equal(in.Permissions, calling) { // else no more than they may is asked for anyway
		reads := slices.Equal(in.Permissions, reading)
		in.Permissions = nil
		for _, p := range me.Effective {
			if !reads || strings.HasSuffix(strings.TrimSuffix(p, ":own"), ".read") {
				in.Permissions = append(in.Permissions, p)
			}
		}
	}
	return true, nil
}

// keyPlace is where a new key belongs: to the team, and so to its organization, to the organization, or to the only one that
// the caller has.
func (c *call) keyPlace(org, team string) (o orgs.Organization, t orgs.Team, err error) {
	if team != "" {
		if t, o, err = c.team(c.ctx(), team); err != nil {
			return o, t, as(err, store.ErrNotFound, unknownTeam(team))
		}
		if org != "" && !o.Known(org) {
			return o, t, detail(http.StatusBadRequest, "organization_id is not that of the team")
		}
		return o, t, nil
	}
	if org == "" {
		mine, err := c.svc.Organizations(c.ctx(), orgs.OrganizationFilter{Limit: 2})
		if err != nil {
			return o, t, err
		}
		if c.admin() || len(mine.Items) != 1 {
			return o, t, detail(http.StatusBadRequest, "organization_id or team_id is required: every key belongs to an organization")
		}
		return mine.Items[0], t, nil
	}
	o, err = c.organization(c.ctx(), org)
	return o, t, as(err, store.ErrNotFound, unknownOrganization(http.StatusBadRequest, org))
}

// findKey returns a key by its secret or the hash of that, or store.ErrNotFound, also to who may not see it.
func (c *call) findKey(ctx context.Context, ref string) (orgs.APIKey, error) {
	if strings.HasPrefix(ref, keyPrefix) {
		h := orgs.HashKey(ref)
		ref = hex.EncodeToString(h[:])
	}
	k, err := c.svc.APIKey(ctx, ref)
	return k, as(err, rbac.ErrDenied, store.ErrNotFound)
}

// keyInfoRow is a key, under the name by which it was asked for.
type keyInfoRow struct {
	Key  string `json:"key"`
	Info keyRow `json:"info"`
}

// infoKey is GET /key/info.
func (c *call) infoKey() (any, error) {
	ref := c.in.text("key").v
	if err := c.in.err(); err != nil {
		return nil, err
	}
	if ref == "" && c.by.ID != "" && strings.HasPrefix(c.by.ID, "key_") {
		ref = c.by.ID
	}
	k, err := c.findKey(c.ctx(), ref)
	if err != nil {
		return nil, as(err, store.ErrNotFound, detail(http.StatusNotFound, "Key not found in database"))
	}
	if strings.HasPrefix(ref, "key_") {
		ref = k.Hash
	}
	rows, err := c.keyRows(k)
	if err != nil {
		return nil, err
	}
	return keyInfoRow{ref, rows[0]}, nil
}

// keyNamed returns the key of that alias among those that the caller may see. Where several have it none is meant.
func (c *call) keyNamed(ctx context.Context, alias string) (found orgs.APIKey, err error) {
	within := []string{""}
	if !c.admin() {
		within = nil
		for after := ""; ; {
			mine, err := c.svc.Organizations(ctx, orgs.OrganizationFilter{Limit: store.MaxLimit, After: after})
			if err != nil {
				return found, err
			}
			for _, o := range mine.Items {
				within = append(within, o.ID)
			}
			if after = mine.Next; after == "" {
				break
			}
		}
	}
	for _, orgID := range within {
		var ids []string
		err := c.svc.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			ids, err = orgs.APIKeysNamed(ctx, tx, orgID, alias)
			return err
		})
		if err != nil {
			return found, err
		}
		for _, id := range ids {
			k, err := c.findKey(ctx, id)
			switch {
			case errors.Is(err, store.ErrNotFound):
			case err != nil:
				return found, err
			case found.ID != "":
				return found, detail(http.StatusBadRequest, "several keys have the alias "+plain(alias)+": pass them as keys")
			default:
				found = k
			}
		}
	}
	if found.ID == "" {
		err = store.ErrNotFound
	}
	return found, err
}

// deleteKeys is POST /key/delete: all of them, or none.
func (c *call) deleteKeys() (any, error) {
	keys, aliases := c.in.texts("keys"), c.in.texts("key_aliases")
	if len(keys.v)+len(aliases.v) == 0 {
		c.in.fault("missing", "Field required", "keys")
	}
	if err := c.in.err(); err != nil {
		return nil, err
	}
	all := slices.Concat(keys.v, aliases.v)
	if len(all) > maxIDs {
		return nil, detail(http.StatusBadRequest, "at most 1000 keys")
	}
	err := c.svc.Together(c.ctx(), func(ctx context.Context) error {
		for i, ref := range all {
			find := c.findKey
			if i >= len(keys.v) {
				find = c.keyNamed
			}
			k, err := find(ctx, ref)
			if err == nil && k.RevokedAt != nil {
				err = store.ErrNotFound
			}
			if err != nil {
				return as(err, store.ErrNotFound, detail(http.StatusNotFound, "Keys not found"))
			}
			if _, err := c.svc.RevokeAPIKey(ctx, k.ID, ""); err != nil {
				var denied *rbac.Denied
				if errors.As(err, &denied) {
					return because(wrapped(http.StatusForbidden, "auth_error", none, "You are not authorized to delete this key"), err)
				}
				return err
			}
		}
		return nil
	})
	return map[string][]string{"deleted_keys": all}, err
}
