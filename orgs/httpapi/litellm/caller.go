package litellm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// keyHeaders are where a key may stand, in the order in which they are tried (F452).
var keyHeaders = []string{"X-Litellm-Api-Key", "Authorization", "Api-Key", "X-Api-Key", "X-Goog-Api-Key", "Ocp-Apim-Subscription-Key"}

// authenticate is who calls: the first key that is good wins, and of those that are none the first is told about.
func (c *call) authenticate() (audit.Actor, error) {
	var first error
	for key := range keysOf(c.http) {
		r := c.http.Clone(c.ctx())
		r.Header.Set("Authorization", "Bearer "+key)
		by, err := c.opt.Authenticate(r)
		if err == nil {
			return by, nil
		}
		if httpapi.Classify(err).Internal() { // it is not known whether the key is good
			return by, err
		}
		if first == nil {
			first = badKey(err, key)
		}
	}
	if first == nil {
		first = noKey()
	}
	return audit.Actor{}, first
}

// keysOf are the keys of a request, in the order in which they are tried.
func keysOf(r *http.Request) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, name := range keyHeaders {
			key := strings.TrimSpace(r.Header.Get(name))
			if scheme, rest, two := strings.Cut(key, " "); two && strings.EqualFold(scheme, "Bearer") {
				key = strings.TrimSpace(rest)
			}
			if key != "" && !yield(key) {
				return
			}
		}
	}
}

func noKey() *problem {
	return &problem{status: http.StatusUnauthorized, typ: "auth_error", param: none, message: "Authentication Error, No api key passed in."}
}

// badKey is the answer to a key that does not work. It names no more of it than the end, and its hash.
func badKey(err error, key string) error {
	var auth *orgs.AuthError
	var denied *rbac.Denied
	switch {
	case errors.As(err, &auth) && auth.Code == "expired_api_key":
		return wrapped(http.StatusUnauthorized, "expired_key", "key", "Authentication Error, Authentication Error - Expired Key.")
	case errors.As(err, &auth):
		last := key[max(0, len(key)-4):]
		if len(key) < 16 { // nothing of ours, and the end may be most of it
			last = ""
		}
		return wrapped(http.StatusUnauthorized, "token_not_found_in_db", "key", fmt.Sprintf("Authentication Error, Invalid proxy server token passed. Received API Key = sk-...%s, "+
			"Key Hash (Token) =%x. Unable to find token in cache or `LiteLLM_VerificationTokenTable`", last, orgs.HashKey(key)))
	case errors.As(err, &denied) && denied.Code == "org_suspended":
		id := ""
		if len(denied.Decision.Reasons) > 0 {
			id = denied.Decision.Reasons[0].ID
		}
		return blockedOrganization(id)
	case errors.As(err, &denied) && denied.Code == "team_archived":
		return wrapped(http.StatusUnauthorized, "auth_error", none, "Authentication Error, Team="+denied.TeamID+" is blocked. Update via `/team/unblock` if you're an admin.")
	}
	return wrapped(http.StatusUnauthorized, "auth_error", none, "Authentication Error, "+httpapi.Classify(err).Detail)
}

// access is who may call a route, before anything is looked at. The service decides all the same.
type access int

const (
	mayTry    access = iota // the call itself says
	mayCreate               // the operator; others hear that only they can
	mayAdmin                // the operator
	mayChange               // likewise, and by option administrators of the organization what it names
	mayMake                 // likewise, and administrators of all organizations that the call names
	mayManage               // and administrators of the organization
	mayRead                 // and, by option, its members
)

// gate tells callers that a route is not theirs, before an id is looked up: what they are not a member of, and what does not
// exist, is one to them.
func (c *call) gate() error {
	if c.admin() {
		return nil
	}
	switch c.route.may {
	case mayTry:
		return nil
	case mayCreate:
		if c.by.Person() == "" {
			return detail(http.StatusUnauthorized, "Only admins can create orgs. Your role is = unknown")
		}
		return c.refused("user_role", "Only proxy admins can create new organizations")
	case mayChange:
		if c.by.Person() == "" {
			return detail(http.StatusBadRequest, "Cannot associate a user_id to this action. Check `/key/info` to validate if 'user_id' is set.")
		}
		if id, theirs := c.ownEdit(); theirs {
			return c.ruled(id)
		}
		return c.onlyAdmins()
	case mayMake:
		var organizations []string
		if json.Unmarshal(c.in.given["organizations"], &organizations) != nil || len(organizations) == 0 || c.by.Person() == "" {
			return c.onlyAdmins()
		}
		for _, id := range organizations {
			if err := c.ruled(id); err != nil {
				return err
			}
		}
		return nil
	case mayAdmin:
		return c.onlyAdmins()
	}
	return c.gateMembers()
}

// ownEdit is the organization of a change that is left to its administrators, as it names nothing else than they may change.
func (c *call) ownEdit() (id string, is bool) {
	id = c.http.PathValue("organization_id")
	if id == "" {
		id = c.in.peek("organization_id")
	}
	for name := range c.in.given {
		if name != "organization_id" && !slices.Contains(c.opt.OrgAdminMayUpdate, name) {
			return id, false
		}
	}
	return id, len(c.opt.OrgAdminMayUpdate) > 0
}

// onlyAdmins is the answer to who asks for what only the operator does.
func (c *call) onlyAdmins() error {
	return c.refused(none, "Authentication Error, Only proxy admin can be used to generate, delete, update info for new keys/users/teams. Route="+c.route.path+
		". Your role="+c.globalRole()+". Your user_id="+masked(c.callerID()))
}

// gateMembers tells who is no administrator of the organization that the call is about.
func (c *call) gateMembers() error {
	some, err := c.svc.Organizations(c.ctx(), orgs.OrganizationFilter{Limit: 1})
	if err != nil {
		return err
	}
	if len(some.Items) == 0 {
		return c.refused("organization_id", "Tried to access route="+c.route.path+" but you are not a member of any organization. Please contact the proxy admin to request access.")
	}
	ref := c.in.peek("organization_id")
	if ref == "" {
		return c.refused("organization_id", "Passed organization_id is None, please pass an organization_id in your request")
	}
	return c.ruled(ref)
}

// ruled tells who is no administrator of the organization.
func (c *call) ruled(ref string) error {
	role, err := c.roleIn(ref)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return c.refused("organization_id", "You do not have a role within the selected organization. Passed organization_id: "+plain(ref)+
			". Please contact the organization admin to request access.")
	case err != nil:
		return err
	case role == rbac.OwnerRole, c.route.may == mayRead && c.opt.MembersReadInfo:
		return nil
	}
	return c.refused("user_role", "You do not have the required role to perform this action. Your role is "+role+" in Organization "+plain(ref))
}

// roleIn is the role of the person who calls in an organization, or store.ErrNotFound.
func (c *call) roleIn(ref string) (string, error) {
	at, err := c.svc.OrgPlace(c.ctx(), ref)
	if err != nil {
		return "", err
	}
	if c.by.Person() == "" {
		return "", store.ErrNotFound
	}
	ms, err := c.svc.Member(c.ctx(), at, "me")
	return roleOf(ms.Role), err
}

// refused is the answer to who is known and may not.
func (c *call) refused(param, message string) error {
	status := http.StatusUnauthorized
	if c.opt.Strict {
		status = http.StatusForbidden
	}
	return wrapped(status, "auth_error", param, message)
}

// callerID is what the person who calls is called here.
func (c *call) callerID() string {
	if c.by.Person() == "" {
		return ""
	}
	u, err := c.svc.User(c.ctx(), c.by.Person())
	if err != nil { // rules of sign-in keep them from reading it, and so they do from hearing it
		return ""
	}
	return u.PublicID()
}

func (c *call) globalRole() string {
	if c.by.Person() == "" {
		return "unknown"
	}
	return roleUser
}

// masked is an id of which not all is said.
func masked(id string) string {
	if len(id) <= 4 {
		return "***"
	}
	return id[:min(6, len(id)-2)] + "***" + id[len(id)-2:]
}

// plain is a text of a client in the form in which it is said again.
func plain(s string) string { return store.PlainText(s, orgs.MaxAlias) }

// organization returns one by an id: its own, or the one that was chosen for it. Slugs are no ids here, and what is deleted
// is gone, to the operator too.
func (c *call) organization(ctx context.Context, ref string) (orgs.Organization, error) {
	if ref == "" || store.PlainText(ref, orgs.MaxAlias) != ref {
		return orgs.Organization{}, store.ErrNotFound
	}
	o, err := c.svc.Organization(ctx, ref)
	if err == nil && (!o.Known(ref) || o.DeletedAt != nil) {
		err = store.ErrNotFound
	}
	return o, err
}
