package opengatellm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// The types of rules: who may sign in by the provider of the host, and into what organization and role somebody comes who is new.
const (
	emailRule        = "email"        // how the address ends
	organizationRule = "organization" // a group that the provider says
	roleRule         = "role"         // likewise
)

var ruleTypes = []string{emailRule, organizationRule, roleRule}

type ruleView struct {
	Object         string  `json:"object"`
	ID             int64   `json:"id"`
	Type           string  `json:"type"`
	Value          *string `json:"value"`
	OrganizationID *int64  `json:"organization_id"`
	RoleID         *int64  `json:"role_id"`
	Created        int64   `json:"created"`
	Updated        int64   `json:"updated"`
}

type policyView struct {
	Object string     `json:"object"`
	Rules  []ruleView `json:"rules"`
}

func (a *api) renderPolicy(ctx context.Context, p orgs.PlatformSSO) (any, error) {
	v := policyView{"sso", []ruleView{}}
	for _, r := range p.Rules {
		one := ruleView{Object: "sso.rule", ID: r.ID, Type: r.Type, Created: r.CreatedAt.Unix(), Updated: r.CreatedAt.Unix()}
		if r.Value != "" {
			one.Value = &r.Value
		}
		for typ, into := range map[string]**int64{organizationRule: &one.OrganizationID, roleRule: &one.RoleID} {
			if typ != r.Type {
				continue
			}
			n, err := a.numberOf(ctx, map[string]string{organizationRule: orgNoun, roleRule: roleNoun}[typ], r.TargetID)
			if err != nil {
				return nil, err
			}
			*into = &n
		}
		v.Rules = append(v.Rules, one)
	}
	return v, nil
}

func (a *api) ssoPolicy(r *http.Request) (answer, error) {
	p, err := a.PlatformSSO(r.Context())
	if err != nil {
		return answer{}, err
	}
	v, err := a.renderPolicy(r.Context(), p)
	return answer{http.StatusOK, v}, err
}

// setSSOPolicy has rules take the place of all there are.
func (a *api) setSSOPolicy(r *http.Request) (answer, error) {
	in, err := body(r)
	if err != nil {
		return answer{}, err
	}
	in.required("rules")
	in.notNull("rules", "list_type", "Input should be a valid list")
	forms := in.rules()
	if err := in.err(); err != nil {
		return answer{}, err
	}
	ctx := r.Context()
	var rules []orgs.PlatformSSORule
	for _, f := range forms {
		switch f.Type {
		case organizationRule:
			o, err := a.organizationNumbered(ctx, f.target)
			if err != nil {
				return answer{}, err
			}
			f.TargetID = o.ID
		case roleRule:
			role, err := a.roleNumbered(ctx, f.target)
			if err != nil {
				return answer{}, err
			}
			f.TargetID = role.ID
		}
		rules = append(rules, f.PlatformSSORule)
	}
	p, err := a.SetPlatformSSO(ctx, rules)
	if err != nil {
		return answer{}, err
	}
	v, err := a.renderPolicy(ctx, p)
	return answer{http.StatusOK, v}, err
}

type ruleForm struct {
	orgs.PlatformSSORule
	target int64
}

// rules reads the rules of a body, each of a type and a value once.
func (f *form) rules() (list []ruleForm) {
	if !f.has("rules") {
		return nil
	}
	for i, raw := range f.list("rules") {
		var fields map[string]json.RawMessage
		if json.Unmarshal(raw, &fields) != nil || fields == nil {
			f.faults = append(f.faults, fault{Type: "model_attributes_type", Loc: []any{"body", "rules", i}, Msg: "Input should be a valid dictionary or object to extract fields from"})
			continue
		}
		one := &form{fields: fields}
		one.required("type")
		rule := ruleForm{}
		if raw, there := fields["type"]; there && (json.Unmarshal(raw, &rule.Type) != nil || !slices.Contains(ruleTypes, rule.Type)) {
			one.wrong("body", "type", "enum", "Input should be "+either(ruleTypes), nil)
		}
		if value := one.text("value", 1, maxName); value != nil {
			rule.Value = *value
		}
		switch rule.Type {
		case emailRule:
			if !one.has("value") {
				one.wrong("body", "value", "missing", "Field required", nil)
			}
		case organizationRule:
			rule.target = one.neededNumber("organization_id", "organization")
		case roleRule:
			rule.target = one.neededNumber("role_id", "role")
		}
		for _, fault := range one.faults {
			fault.Loc = append([]any{"body", "rules", i}, fault.Loc[1:]...)
			f.faults = append(f.faults, fault)
		}
		if slices.ContainsFunc(list, func(had ruleForm) bool { return had.Type == rule.Type && had.Value == rule.Value }) {
			f.faults = append(f.faults, fault{Type: "value_error", Loc: []any{"body", "rules", i}, Msg: "Value error, Duplicate rule found."})
		}
		list = append(list, rule)
	}
	return list
}

// neededNumber is a whole number that has to be there, by either name.
func (f *form) neededNumber(name, other string) int64 {
	f.alias(name, other)
	f.required(name)
	f.notNull(name, "int_type", intType)
	if n := f.integer(name, 0); n != nil {
		return *n
	}
	return 0
}

// ssoLogin makes a token of whom the provider of the host names in an ID token. Nothing of the body is evidence but that: the
// address has to be that of the token, and an organization that is named has to be the one that the rules lead to.
func (a *api) ssoLogin(r *http.Request) (answer, error) {
	in, err := body(r)
	if err != nil {
		return answer{}, err
	}
	for _, name := range []string{"email", "token"} {
		in.required(name)
		in.notNull(name, "string_type", "Input should be a valid string")
	}
	email, token := in.text("email", 1, 254), in.secret("token", 1, 64<<10)
	name, organization := in.text("name", 1, maxName), in.text("organization", 1, maxName)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	ctx := r.Context()
	asserted, err := a.opt.IDToken(ctx, *token)
	if err != nil {
		return answer{}, a.untrusted(ctx, err)
	}
	if orgs.EmailKey(*email) != orgs.EmailKey(asserted.Email) {
		return answer{}, a.untrusted(ctx, &orgs.SSORefused{Code: "other_email"})
	}
	asserted.Name = cmp.Or(asserted.Name, or(name))
	gets, err := a.ruled(ctx, asserted, organization)
	if err != nil {
		return answer{}, err
	}
	var made orgs.Token
	var secret string
	_, err = a.AdmitAsserted(ctx, asserted, func(ctx context.Context, _ *store.Tx, u orgs.User, fresh bool) error {
		ctx = sovereign(ctx)
		if fresh {
			if err := a.settle(ctx, u, gets); err != nil {
				return err
			}
		}
		made, secret, err = a.playgroundOf(ctx, u)
		return err
	})
	if refused := (*orgs.SSORefused)(nil); errors.As(err, &refused) { // which the log was told of
		err = errIDToken
	}
	if err != nil {
		return answer{}, err
	}
	return a.loggedIn(sovereign(ctx), made, secret)
}

var errIDToken = &refusal{http.StatusUnauthorized, "Invalid OIDC token."}

// untrusted is the answer to an ID token that is none, of which the log hears why.
func (a *api) untrusted(ctx context.Context, err error) error {
	if refused := (*orgs.SSORefused)(nil); errors.As(err, &refused) {
		a.SSOFailed(ctx, "", refused.Code)
		return errIDToken
	}
	return err
}

// gained is what a new account gets: ids, "" for none.
type gained struct{ orgID, roleID string }

// ruled is what the rules give somebody. Who may not sign in is refused: where a rule has a value, one such has to match.
func (a *api) ruled(ctx context.Context, in orgs.Asserted, organization *string) (g gained, err error) {
	ctx = audit.WithActor(ctx, audit.System("single sign-on").From(ctx))
	p, err := a.PlatformSSO(ctx)
	if err != nil {
		return g, err
	}
	restricted, matched := false, false
	var otherwise gained
	for _, r := range p.Rules {
		is := r.Value != "" && slices.Contains(in.Groups, r.Value)
		if r.Type == emailRule {
			is = in.EmailVerified && strings.HasSuffix(orgs.EmailKey(in.Email), orgs.EmailKey(r.Value))
		}
		restricted, matched = restricted || r.Value != "", matched || is
		into := &g
		if r.Value == "" {
			into, is = &otherwise, true
		}
		switch {
		case !is:
		case r.Type == organizationRule:
			into.orgID = cmp.Or(into.orgID, r.TargetID)
		case r.Type == roleRule:
			into.roleID = cmp.Or(into.roleID, r.TargetID)
		}
	}
	if restricted && !matched {
		a.SSOFailed(ctx, "", "no_rule")
		return g, &refusal{http.StatusForbidden, "User is not allowed to sign in."}
	}
	g = gained{cmp.Or(g.orgID, otherwise.orgID), cmp.Or(g.roleID, otherwise.roleID)}
	if organization == nil || g.orgID == "" {
		return g, nil
	}
	o, err := a.Organization(ctx, g.orgID)
	if err == nil && o.Name != *organization {
		return g, &refusal{http.StatusForbidden, "User is not allowed to sign in."}
	}
	return g, err
}

// settle gives a new account what the rules say.
func (a *api) settle(ctx context.Context, u orgs.User, g gained) error {
	change := orgs.UserUpdate{}
	if g.orgID != "" {
		if err := a.join(ctx, orgs.Place{OrgID: g.orgID}, u.ID); err != nil {
			return err
		}
		change.Home = &g.orgID
	}
	if g.roleID != "" {
		change.PlatformRole = &g.roleID
	}
	if change == (orgs.UserUpdate{}) {
		return nil
	}
	_, err := a.UpdateUser(ctx, u.ID, change)
	return err
}

func or(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
