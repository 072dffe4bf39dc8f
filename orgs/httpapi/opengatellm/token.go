package opengatellm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

const (
	// tokenNoun is of what tokens are numbered, and tokenPrefix begins those that are made here.
	tokenNoun   = "token"
	tokenPrefix = "sk-"
)

// token is a credential of a person: a personal token, which follows them wherever they are at home, or a key, which belongs to
// an organization, and to a project of it if they made it for one.
type token struct {
	id, name, shown, userID string
	orgID, projectID        string // of a key
	created                 time.Time
	expires                 *time.Time
	status                  orgs.KeyStatus
}

func ofToken(t orgs.Token, now time.Time) token {
	return token{id: t.ID, name: t.Name, shown: t.Prefix + "..." + t.Last4, userID: t.UserID, created: t.CreatedAt, expires: t.ExpiresAt, status: t.StatusAt(now)}
}

func ofKey(k orgs.APIKey, now time.Time) token {
	return token{id: k.ID, name: k.Name, shown: k.Prefix + "..." + k.Last4, userID: k.UserID, orgID: k.OrgID, projectID: k.ProjectID,
		created: k.CreatedAt, expires: k.ExpiresAt, status: k.StatusAt(now)}
}

// isKey says whether it is a key.
func (t token) isKey() bool { return t.orgID != "" }

// aToken and cToken are how their generations show it. To its owner the older one does not say whose it is.
type aToken struct {
	Object  string `json:"object"`
	ID      int64  `json:"id"`
	Name    string `json:"name"`
	Token   string `json:"token"`
	User    *int64 `json:"user,omitempty"`
	Project *int64 `json:"project"`
	Expires *int64 `json:"expires"`
	Created int64  `json:"created"`
}

type cToken struct {
	Object  string         `json:"object"`
	ID      int64          `json:"id"`
	Name    string         `json:"name"`
	Value   string         `json:"value"`
	User    int64          `json:"user"`
	Project *int64         `json:"project"`
	Expires *int64         `json:"expires"`
	Created int64          `json:"created"`
	Status  orgs.KeyStatus `json:"status"`
}

// madeToken is the answer of the older generation with a new one; madeKey that to who made their own.
type madeToken struct {
	ID    int64  `json:"id"`
	Token string `json:"token"`
}

type madeKey struct {
	ID    int64  `json:"id"`
	Key   string `json:"key"`
	Token string `json:"token"`
}

func (a *api) renderToken(ctx context.Context, t token, n int64, own bool) (any, error) {
	var expires, project *int64
	if t.expires != nil {
		at := t.expires.Unix()
		expires = &at
	}
	if t.projectID != "" {
		numbers, err := a.numbersOf(ctx, projectNoun, t.projectID)
		if err != nil {
			return nil, err
		}
		n := numbers[t.projectID]
		project = &n
	}
	numbers, err := a.numbersOf(ctx, userNoun, t.userID)
	if err != nil {
		return nil, err
	}
	user := numbers[t.userID]
	if a.opt.Generation == GenerationC {
		return cToken{"key", n, t.name, t.shown, user, project, expires, t.created.Unix(), t.status}, nil
	}
	v := aToken{"token", n, t.name, t.shown, &user, project, expires, t.created.Unix()}
	if own {
		v.Object, v.User = "key", nil
	}
	return v, nil
}

// tokenForm is what a body says of a new one.
type tokenForm struct {
	name          string
	user, project *int64
	expires       *time.Time
}

// tokenForm reads a new token. How long it may work at most the host says.
func (a *api) tokenForm(r *http.Request, forSomebody bool) (f tokenForm, err error) {
	in, err := body(r)
	if err != nil {
		return f, err
	}
	now := a.Store().Now()
	in.required("name")
	in.notNull("name", "string_type", "Input should be a valid string")
	name := in.text("name", 1, maxName)
	if name != nil && a.opt.Generation == GenerationC && *name == reservedToken {
		in.wrong("body", "name", "value_error", "Value error, this name is reserved.", nil)
	}
	if forSomebody {
		in.alias("user", "user_id")
		in.required("user")
		in.notNull("user", "int_type", intType)
		f.user = in.integer("user", 0)
	}
	in.alias("project", "project_id")
	f.project = in.integer("project", 0)
	expires := in.future("expires", now)
	if err := in.err(); err != nil {
		return f, err
	}
	f.name = *name
	if expires != nil {
		at := time.Unix(*expires, 0)
		f.expires = &at
	}
	if days := a.opt.KeyMaxExpirationDays; days > 0 {
		last := now.AddDate(0, 0, days).Truncate(time.Second)
		if f.expires == nil {
			f.expires = &last
		}
		if f.expires.After(last) {
			return f, &refusal{http.StatusBadRequest, fmt.Sprintf("Token expiration timestamp cannot be greater than %d days from now.", days)}
		}
	}
	return f, nil
}

// reservedToken is a name that clients of the newest generation keep for themselves.
const reservedToken = "_system_playground_key"

// makeToken makes a token of a person or, where a project is named, a key of that, whose member the person has to be.
func (a *api) makeToken(ctx context.Context, u orgs.User, f tokenForm) (t token, secret string, err error) {
	now := a.Store().Now()
	if f.project == nil {
		made, secret, err := a.CreateToken(ctx, u.ID, orgs.NewToken{Name: f.name, Dialect: Dialect, Prefix: tokenPrefix, ExpiresAt: f.expires})
		return ofToken(made, now), secret, err
	}
	p, err := a.projectNumbered(ctx, *f.project)
	if err == nil {
		_, err = a.Member(ctx, orgs.Place{OrgID: p.OrgID, TeamID: p.ID}, u.ID)
	}
	if err != nil {
		return t, "", a.orMissing(err, "Project", *f.project)
	}
	made, secret, err := a.CreateAPIKey(ctx, orgs.NewAPIKey{Name: f.name, Organization: p.OrgID, Project: p.ID, User: &u.ID, Permissions: calling,
		ExpiresAt: f.expires, Prefix: tokenPrefix, Dialect: Dialect})
	return ofKey(made, now), secret, err
}

// calling is what keys of projects may do, as far as their person may.
var calling = []string{"models.use", "models.read", "api_keys.use", "projects.read"}

// newToken is the answer with one that was just made.
func (a *api) newToken(ctx context.Context, t token, secret string, own bool) (answer, error) {
	n, err := a.numbersOf(ctx, tokenNoun, t.id)
	if err != nil {
		return answer{}, err
	}
	switch {
	case a.opt.Generation == GenerationC:
		t.shown = secret
		v, err := a.renderToken(ctx, t, n[t.id], own)
		return answer{http.StatusCreated, v}, err
	case own:
		return answer{http.StatusCreated, madeKey{n[t.id], secret, secret}}, nil
	}
	return answer{http.StatusCreated, madeToken{n[t.id], secret}}, nil
}

func (a *api) createToken(r *http.Request) (answer, error) {
	f, err := a.tokenForm(r, true)
	if err != nil {
		return answer{}, err
	}
	u, err := a.userNumbered(r.Context(), *f.user)
	if err == nil && f.project == nil { // it acts wherever they are at home
		err = a.ownAccount(r.Context(), u)
	}
	if err != nil {
		return answer{}, err
	}
	t, secret, err := a.makeToken(r.Context(), u, f)
	if err != nil {
		return answer{}, err
	}
	return a.newToken(r.Context(), t, secret, false)
}

// tokenNumbered finds one by its number, of a person, or, with "", of anybody.
func (a *api) tokenNumbered(ctx context.Context, n int64, userID string) (t token, err error) {
	var id string
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		id, err = orgs.Numbered(ctx, tx, tokenNoun, n)
		return err
	})
	now := a.Store().Now()
	switch {
	case err != nil:
	case strings.HasPrefix(id, "tok_"):
		var found orgs.Token
		found, err = a.Token(ctx, userID, id)
		t = ofToken(found, now)
	default:
		var found orgs.APIKey
		found, err = a.APIKey(sovereign(ctx), id) // one's own list has it too
		if t = ofKey(found, now); err == nil && userID != "" && found.UserID != userID {
			err = store.ErrNotFound
		}
	}
	if err == nil {
		if kept, failed := a.tokensWithin(ctx, []token{t}, userID != ""); failed != nil || len(kept) == 0 {
			err = cmp.Or(failed, store.ErrNotFound)
		}
	}
	if err == nil && t.status == orgs.KeyRevoked && a.opt.Generation == GenerationA { // which deletes them
		err = store.ErrNotFound
	}
	return t, a.orMissing(err, "Token", n)
}

// end revokes a token.
func (a *api) end(ctx context.Context, t token) (token, error) {
	now := a.Store().Now()
	if t.status == orgs.KeyRevoked {
		return t, nil
	}
	if t.isKey() {
		k, err := a.RevokeAPIKey(ctx, t.id, "")
		return ofKey(k, now), err
	}
	ended, err := a.RevokeToken(ctx, t.userID, t.id)
	return ofToken(ended, now), err
}

func (a *api) token(r *http.Request) (answer, error) {
	n, err := a.pathID(r, "token")
	if err != nil {
		return answer{}, err
	}
	t, err := a.tokenNumbered(r.Context(), n, "")
	if err != nil {
		return answer{}, err
	}
	v, err := a.renderToken(r.Context(), t, n, false)
	return answer{http.StatusOK, v}, err
}

// deleteToken ends one. Where the query says whose it is, it has to be.
func (a *api) deleteToken(r *http.Request) (answer, error) {
	n, err := a.pathID(r, "token")
	if err != nil {
		return answer{}, err
	}
	in, err := query(r)
	if err != nil {
		return answer{}, err
	}
	user := in.wanted("user", "user_id")
	if err := in.err(); err != nil {
		return answer{}, err
	}
	t, err := a.tokenNumbered(r.Context(), n, "")
	if err != nil {
		return answer{}, err
	}
	if user != nil {
		if owner, err := a.numbersOf(r.Context(), userNoun, t.userID); err != nil || owner[t.userID] != *user {
			return answer{}, errors.Join(err, a.missing("Token", n))
		}
	}
	if t, err = a.end(r.Context(), t); err != nil {
		return answer{}, err
	}
	return a.changed(func() (any, error) { return a.renderToken(r.Context(), t, n, false) })
}

// tokens lists them.
func (a *api) tokens(r *http.Request) (answer, error) {
	in, err := query(r)
	if err != nil {
		return answer{}, err
	}
	user := in.wanted("user", "user_id")
	return a.listTokens(r.Context(), in, func(ctx context.Context) (string, bool, error) {
		if user == nil {
			return "", true, nil
		}
		u, err := a.userNumbered(ctx, *user)
		if refused := (*refusal)(nil); errors.As(err, &refused) { // nobody has any
			return "", false, nil
		}
		return u.ID, true, err
	}, false)
}

// listTokens lists those of a person, of everybody with "", or none.
func (a *api) listTokens(ctx context.Context, in *form, of func(ctx context.Context) (userID string, some bool, err error), own bool) (answer, error) {
	p := in.paging("id", "name", "created")
	status := in.maybeOneOf("status", string(orgs.KeyActive), string(orgs.KeyExpired), string(orgs.KeyRevoked))
	if err := in.err(); err != nil {
		return answer{}, err
	}
	userID, some, err := of(ctx)
	if err != nil {
		return answer{}, err
	}
	entryOf := func(n map[string]int64) func(token) entry {
		return func(t token) entry { return entry{id: n[t.id], name: t.name, created: t.created.Unix()} }
	}
	if some && userID == "" {
		part, n, enough, err := beginning(ctx, a, tokenNoun, p, livingTokens)
		if err != nil {
			return answer{}, err
		}
		if enough {
			p.offset = 0
			return listed(a, p, part, entryOf(n), func(t token) (any, error) { return a.renderToken(ctx, t, n[t.id], own) })
		}
	}
	var all []token
	if some {
		if all, err = a.everyToken(ctx, userID); err == nil {
			all, err = a.tokensWithin(ctx, all, own)
		}
		if err != nil {
			return answer{}, err
		}
	}
	all = slices.DeleteFunc(all, func(t token) bool {
		if a.opt.Generation == GenerationA {
			return t.status == orgs.KeyExpired || t.status == orgs.KeyRevoked
		}
		return status != "" && string(t.status) != status
	})
	ids := make([]string, len(all))
	for i, t := range all {
		ids[i] = t.id
	}
	n, err := a.numbersOf(ctx, tokenNoun, ids...)
	if err != nil {
		return answer{}, err
	}
	return listed(a, p, all, entryOf(n), func(t token) (any, error) { return a.renderToken(ctx, t, n[t.id], own) })
}

// livingTokens are those of some tokens and keys that work, by their ids.
func livingTokens(ctx context.Context, tx *store.Tx, ids []string) (map[string]token, error) {
	tokens, keys, err := orgs.CredentialsByID(ctx, tx, ids)
	living := make(map[string]token, len(ids))
	keep := func(t token) {
		if t.status != orgs.KeyExpired && t.status != orgs.KeyRevoked {
			living[t.id] = t
		}
	}
	for _, t := range tokens {
		keep(ofToken(t, tx.Now()))
	}
	for _, k := range keys {
		keep(ofKey(k, tx.Now()))
	}
	return living, err
}

// everyToken reads all tokens and keys of a person, or of everybody, the oldest first; below a root of everybody there.
func (a *api) everyToken(ctx context.Context, userID string) (all []token, err error) {
	if userID != "" || a.root == "" {
		return a.tokensOf(ctx, userID)
	}
	var people []orgs.User
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		people, err = a.peopleBelow(ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, u := range people {
		some, err := a.tokensOf(ctx, u.ID)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(a, b token) int { return a.created.Compare(b.created) })
	return all, nil
}

func (a *api) tokensOf(ctx context.Context, userID string) (all []token, err error) {
	now := a.Store().Now()
	tokens, err := every(func(after string) (store.Page[orgs.Token], error) {
		return a.Tokens(ctx, userID, store.MaxLimit, after)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) { // to a key they do not exist
		return nil, err
	}
	keys, err := every(func(after string) (store.Page[orgs.APIKey], error) {
		return a.KeysOf(ctx, userID, store.MaxLimit, after)
	})
	for _, t := range tokens {
		all = append(all, ofToken(t, now))
	}
	for _, k := range keys {
		all = append(all, ofKey(k, now))
	}
	slices.SortStableFunc(all, func(a, b token) int { return a.created.Compare(b.created) })
	return all, err
}
