// Package opengatellm is the dialect of OpenGateLLM: organizations, users, roles, tokens and projects at /v1/admin, and one's own
// account at /v1/me, as its clients know them. A client changes its host, and nothing else.
//
//	handler, err := opengatellm.New(m, &opengatellm.Options{AdminKey: key, SignIn: service})
//	for _, path := range opengatellm.Paths() {
//		mux.Handle(path, handler)
//	}
//
// The newest generation has paths that the native dialect has too: there the handler has a prefix, or a host name, of its own.
//
// # Calls
//
//	POST   /v1/admin/organizations               {name}
//	GET    /v1/admin/organizations               offset, limit, order_by, order_direction
//	GET    /v1/admin/organizations/{id}
//	PATCH  /v1/admin/organizations/{id}          {name}
//	DELETE /v1/admin/organizations/{id}          not while users remain
//
// and, where there is a [Options].SignIn, by the same methods
//
//	/v1/admin/users                              {email, name, password, role, organization, budget, expires, priority}
//	/v1/admin/roles                              {name, permissions, limits}
//	/v1/admin/tokens                             {name, user, expires, project}; no change
//	/v1/admin/projects                           {name, organization, description, budget, limits, users}, and /{id}/users
//	/v1/admin/routers                            the models of the catalogue, to be read
//	/v1/me/info, /v1/me/keys, /v1/me/usage       of who calls
//	/v1/auth/login                               {email, password}
//	/v1/auth/sso/login                           {email, name, organization, token}, of the newest generation and where there is an
//	                                             [Options].IDToken
//	/v1/admin/sso                                {rules}, likewise; to be read and put
//
// What is at /v1/admin is the platform's, whose key is the master key of that system, and that of people whose role has the
// permission admin: these act for the platform, and the log says who it was. To everybody else it is 403. Other permissions of
// roles are kept and shown, and asked for by nothing here.
//
// # Tokens
//
// A token is a personal token of its person that calls models too: in the organization of the person, wherever that is when it is
// used, and with their rights there, which membership by this API gives. Of a person in no organization it calls none: there is
// nobody to decide or to pay. One for a project is an API key of that, of which the person has to be a member: it sees and uses what
// is of the project alone, and stays there. Lists have all tokens and keys of people, by whatever dialect they were made.
// A token makes more tokens, as in that system; a personal token of the native dialect, and a key, do not.
//
// # Limits
//
// Each person who was given a role has its limits for themselves: rpm and rpd of requests, tpm and tpd of tokens of the input, in
// minutes and days of UTC. A model of which the role says nothing is not there for them, one without a limit of each type, or with
// one of 0, is refused; null is no limit. They hold in front of models, by whatever key of that person, beside all others. A project
// limits what all of its keys use together; what it does not name it does not limit.
//
// # Budgets
//
// The budget of a person is what they have left, in all organizations: a budget without period. Of a call that may cost more than
// that the handler in front of models decides: where the Fit of orgs/gate/proxy names [Dialect], it gets an answer as long as the rest
// pays for; where it does not, which is stricter than that system, it is refused as one without budget is.
//
// # Root
//
// A handler with an [Options].Root knows that organization and those below it, and nothing else, whoever calls, the platform too: ids of
// other organizations, people, roles, tokens and projects do not exist, an account elsewhere cannot sign in, and its credentials are
// not valid. What is made is made there: organizations below the root, and people without an organization are members of the root
// itself, of which they stay when theirs is taken away. Its roles are its own, admin lets nobody do anything but there, and its limits
// hold there; a role of the whole host is shown as the default one. The root is not deleted by it.
//
// A person may be elsewhere too, by a membership or by a role of the host. What acts on their account wherever they are (an address, a
// password, a role, a budget, a personal token) is refused then, else an admin of the one place would be that person in the other; to
// delete them ends what they have within. The addresses of accounts that are made here are not verified: what an admin of a part says of
// an address proves nothing to the rest, and no letter to it sets a password. That an address is taken is told wherever its account
// is. Nobody signs in by the provider of the host, whose rules are the whole host's.
//
// # Single sign-on
//
// Who signs in by an ID token of the host's provider is whom its subject stands for, or the person of its address, which has to be
// verified; somebody else is new. The rules say who may, by how an address ends or by a group, and into what organization and role
// somebody new comes, by a group or for all. In that system a client says of which organization a person is; here that is no
// evidence, and must only not contradict the rules. A token counts once. sub and iss of a person are those of that provider, or else of
// the one of an organization.
//
// # Generations
//
// That system has answered in several ways. [GenerationA], the default, answers a new object with its id and a change with
// 204; [GenerationC] answers with the object, and lists with their total. What is sent in the words of one is understood by
// the other: sort_by is order_by, and sort_order is order_direction. Fields and parameters that nobody asks for are ignored.
//
// # Ids
//
// They are integers, from 1 on, and never come twice. What another dialect has made gets its number when it is first looked
// for here (orgs.NumbersOf), in the order in which it was made: nothing below this package pays for the numbers. The alternative,
// numbering in the unit that creates, would have all organizations of a host wait for one row with each of their keys.
// A list reads all there is of its kind, or of the person, role or organization that it is of, since any of it may sort first.
//
// # Errors
//
// The body is {"detail": text}, or, with 422, {"detail": [{type, loc, msg, input}]} for each input that is wrong; input is null
// wherever it might be a secret.
//
// # Names
//
// Elsewhere names of organizations need not be unique; here one that exists is refused, by exactly its letters.
package opengatellm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Generation is in which of its ways that system is spoken.
type Generation string

// The generations.
const (
	GenerationA Generation = "A" // order_by, and 204 for changes
	GenerationC Generation = "C" // sort_by, and objects for changes
)

// Paths are those of the older generation, as patterns of net/http have them, to be mounted beside other dialects.
func Paths() []string { return []string{"/v1/admin/", "/v1/me/", "/v1/auth/"} }

// Options of the handler. Nil serves nobody but who Authenticate says is the platform.
type Options struct {
	// Generation is that of answers, statuses and texts; "" is GenerationA.
	Generation Generation
	// Prefix is the path under which the host mounts the handler without stripping it, such as "/ai".
	Prefix string
	// Authenticate returns the actor of a request; nil is httpapi.Bearer with AdminKey.
	Authenticate httpapi.Authenticate
	// AdminKey is the bearer token of the platform's operator; "" for none.
	AdminKey string
	// SignIn keeps the passwords of people; with nil neither people nor roles are served here. How short a password may be is its
	// MinPassword, 6 in that system.
	SignIn *signin.Service
	// IDToken verifies an ID token of the provider by which people sign in at /v1/auth/sso/login, of the newest generation: such as
	// the Verify of orgs/sso/oidc. What is wrong with one is an *orgs.SSORefused. With nil nobody signs in there.
	IDToken func(ctx context.Context, token string) (orgs.Asserted, error)
	// PatchKeepsAbsent has a change of a person leave what it does not name: else organization, budget and expires are taken
	// away by it.
	PatchKeepsAbsent bool
	// HideUnknownUsers has a login with an address that nobody has, or a person without a password, answered as one with a wrong
	// password; else they are told apart, as in that system.
	HideUnknownUsers bool
	// ProtectLastAdmin refuses what would leave no person whose role is admin; else the platform's own key remains.
	ProtectLastAdmin bool
	// KeyMaxExpirationDays is how long tokens work at most, which is also how long those do that name no end; 0: for ever.
	KeyMaxExpirationDays int
	// PlaygroundDuration is how long the token of a login works; 0 is an hour.
	PlaygroundDuration time.Duration
	// DefaultRole is the name of the role that people have who were given none here, made where there is none of that name; "" is
	// default. It gives them no permission of the platform.
	DefaultRole string
	// Root, the id or slug of an organization, confines the handler to that and those below it: see the package. "" is the whole host.
	Root string
	// NoMasterLogin refuses the platform's key at /v1/auth/login, as a password that is wrong.
	NoMasterLogin bool
	// TrustedProxies may say in X-Forwarded-For for whom they call; none by default.
	TrustedProxies []netip.Prefix
	// Logger is told of failures that the caller is not to blame for; nil drops them.
	Logger *slog.Logger
}

// maxKeyDays is the longest KeyMaxExpirationDays.
const maxKeyDays = 100 * 366

type api struct {
	*orgs.Manager
	opt    Options
	edge   *httpapi.Options
	mux    *http.ServeMux // of who is somebody
	open   *http.ServeMux // of everybody
	badKey int            // the status of a key that is not good
	root   string         // the organization that it is confined to, "" for none
}

// New returns the handler. A Root that there is not is an error, now or where the handler is made anew.
func New(m *orgs.Manager, o *Options) (http.Handler, error) {
	if m == nil {
		return nil, errors.New("opengatellm: a manager is required")
	}
	a := &api{Manager: m, mux: http.NewServeMux(), open: http.NewServeMux(), badKey: http.StatusForbidden}
	if o != nil {
		a.opt = *o
	}
	switch a.opt.Generation {
	case "":
		a.opt.Generation = GenerationA
	case GenerationA:
	case GenerationC:
		a.badKey = http.StatusUnauthorized
	default:
		return nil, fmt.Errorf("opengatellm: there is no generation %q", a.opt.Generation)
	}
	if a.opt.KeyMaxExpirationDays < 0 || a.opt.PlaygroundDuration < 0 {
		return nil, errors.New("opengatellm: an option is negative")
	}
	if a.opt.KeyMaxExpirationDays > maxKeyDays {
		return nil, fmt.Errorf("opengatellm: tokens work for %d days at most", maxKeyDays)
	}
	if a.opt.DefaultRole = strings.TrimSpace(a.opt.DefaultRole); a.opt.DefaultRole == "" {
		a.opt.DefaultRole = "default"
	}
	if name := a.opt.DefaultRole; rbac.CheckText("name", name, 1, maxName) != nil || store.PlainText(name, len(name)) != name {
		return nil, fmt.Errorf("opengatellm: no role can have the name %q", name)
	}
	if a.opt.PlaygroundDuration == 0 {
		a.opt.PlaygroundDuration = time.Hour
	}
	if err := a.confine(); err != nil {
		return nil, err
	}
	if p := a.opt.Prefix; p != "" && (!strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/")) {
		return nil, fmt.Errorf("opengatellm: the prefix %q must begin with / and not end with it", p)
	}
	if a.opt.Authenticate == nil {
		a.opt.Authenticate = httpapi.Bearer(m, a.opt.AdminKey)
	}
	a.edge = &httpapi.Options{TrustedProxies: a.opt.TrustedProxies, Fail: httpapi.LogFailures(a.opt.Logger), Render: a.render}
	a.routes()
	return a.serve(), nil
}

// text is the text of the generation.
func (a *api) text(a1, c string) string {
	if a.opt.Generation == GenerationC {
		return c
	}
	return a1
}

// created is the answer with a new object: its id, or all of it.
func (a *api) created(id int64, object func() (any, error)) (answer, error) {
	if a.opt.Generation == GenerationC {
		v, err := object()
		return answer{http.StatusCreated, v}, err
	}
	return answer{http.StatusCreated, idView{id}}, nil
}

// changed is the answer where an object was changed or deleted: nothing, or the object.
func (a *api) changed(object func() (any, error)) (answer, error) {
	if a.opt.Generation == GenerationC {
		v, err := object()
		return answer{http.StatusOK, v}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

type idView struct {
	ID int64 `json:"id"`
}

// pathID is the number in the path; one that no record can have is 0.
func (a *api) pathID(r *http.Request, noun string) (int64, error) {
	text := r.PathValue("id")
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, nil
	case err != nil:
		return 0, &invalid{[]fault{{Type: "int_parsing", Loc: []any{"path", a.text(noun, noun+"_id")}, Msg: intParsing}}}
	}
	return n, nil
}

// missing is the answer for a record that there is not.
func (a *api) missing(noun string, id int64) error {
	return &refusal{http.StatusNotFound, a.text(noun+" not found.", fmt.Sprintf("%s %d not found.", noun, id))}
}
