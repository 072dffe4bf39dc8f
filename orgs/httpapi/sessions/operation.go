package sessions

import (
	"net/http"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

// call is an operation, who may call it, and what serves it.
type call struct {
	httpapi.Operation
	who   func(a *api) httpapi.Authenticate
	serve handler
}

// Operations are the calls that [New] serves, for rest.Options.
func Operations() []httpapi.Operation {
	ops := make([]httpapi.Operation, len(calls))
	for i, c := range calls {
		ops[i] = c.Operation
	}
	return ops
}

// anybody serves whoever calls.
func anybody(*api) httpapi.Authenticate {
	return func(*http.Request) (audit.Actor, error) { return audit.Actor{}, nil }
}

// pending serves who has a session, also where its second factor is still to come.
func pending(a *api) httpapi.Authenticate { return a.bySession }

// signedIn serves who is somebody.
func signedIn(a *api) httpapi.Authenticate { return a.opt.Authenticate }

func op(method, path, summary string, status int, query, body, answer any, who func(a *api) httpapi.Authenticate, serve handler) call {
	return call{httpapi.Operation{Method: method, Path: path, Summary: summary, Status: status, Query: query, Body: body, Answer: answer}, who, serve}
}

// open is op for who has no credential yet.
func open(path, summary string, status int, body, answer any, serve handler) call {
	c := op("POST", path, summary, status, nil, body, answer, anybody, serve)
	c.Open = true
	return c
}

// repeats is op for what is done once, however often it is sent with one Idempotency-Key.
func repeats(c call) call {
	c.Repeats = true
	return c
}

var calls = []call{
	open("/v1/sessions", "Sign in", http.StatusCreated, signInBody{}, signedInView{}, (*api).signIn),
	open("/v1/password-resets", "Ask for a link to set a new password by", http.StatusOK, resetRequestBody{}, requestedView{}, (*api).requestReset),
	open("/v1/password-resets/confirm", "Set a new password by a link", http.StatusOK, resetBody{}, changedView{}, (*api).confirmReset),

	op("GET", "/v1/sessions/current", "Get the session of the call", http.StatusOK, nil, nil, SessionView{}, pending, (*api).session),
	op("DELETE", "/v1/sessions/current", "Sign out", http.StatusOK, nil, nil, endedView{}, pending, (*api).signOut),
	op("POST", "/v1/sessions/current/mfa", "Prove the second factor", http.StatusOK, nil, proofBody{}, verifiedView{}, pending, (*api).verify),

	op("GET", "/v1/sessions", "List one's own sessions", http.StatusOK, pageQuery{}, nil, listView{}, signedIn, (*api).sessions),
	op("DELETE", "/v1/sessions", "Sign out everywhere", http.StatusOK, endQuery{}, nil, endedView{}, signedIn, (*api).signOutEverywhere),
	op("GET", "/v1/sessions/{session}", "Get one of one's own sessions", http.StatusOK, nil, nil, SessionView{}, signedIn, (*api).session),
	op("DELETE", "/v1/sessions/{session}", "End one of one's own sessions", http.StatusOK, nil, nil, endedView{}, signedIn, (*api).signOut),
	op("GET", "/v1/users/{user}/sessions", "List the sessions of a user", http.StatusOK, pageQuery{}, nil, listView{}, signedIn, (*api).sessions),
	op("DELETE", "/v1/users/{user}/sessions", "End the sessions of a user", http.StatusOK, endQuery{}, nil, endedView{}, signedIn, (*api).signOutEverywhere),
	op("GET", "/v1/users/{user}/sessions/{session}", "Get a session of a user", http.StatusOK, nil, nil, SessionView{}, signedIn, (*api).session),
	op("DELETE", "/v1/users/{user}/sessions/{session}", "End a session of a user", http.StatusOK, nil, nil, endedView{}, signedIn, (*api).signOut),

	op("GET", "/v1/users/{user}/mfa", "Whether a user has a second factor", http.StatusOK, nil, nil, mfaView{}, signedIn, (*api).mfa),
	repeats(op("POST", "/v1/users/{user}/mfa", "Begin to set up one's second factor", http.StatusCreated, nil, nil, enrolmentView{}, signedIn, (*api).enrol)),
	op("DELETE", "/v1/users/{user}/mfa", "Remove a second factor", http.StatusOK, nil, nil, mfaView{}, signedIn, (*api).removeMFA),
	op("POST", "/v1/users/{user}/mfa/confirm", "Set one's second factor up by its first code", http.StatusOK, nil, codeBody{}, recoveryView{}, signedIn, (*api).confirmMFA),
	repeats(op("POST", "/v1/users/{user}/mfa/recovery-codes", "Make new recovery codes", http.StatusCreated, nil, nil, recoveryView{}, signedIn, (*api).recoveryCodes)),

	op("PUT", "/v1/users/{user}/password", "Set a password", http.StatusOK, nil, passwordBody{}, changedView{}, signedIn, (*api).setPassword),
	repeats(op("POST", "/v1/users/{user}/password-resets", "Make a link to set a new password by", http.StatusCreated, nil, nil, resetView{}, signedIn, (*api).newReset)),
}

// The bodies and queries, as they are described; what reads them names their fields.
type (
	signInBody struct {
		Email        string `json:"email"`
		Password     string `json:"password"`
		Organization string `json:"organization,omitempty" doc:"id or slug of one whose rules for addresses count at once"`
		Device       string `json:"device,omitempty" doc:"the secret of a device that has signed in before"`
		Cookie       bool   `json:"cookie,omitempty" doc:"the session is to be in a cookie, for browsers"`
	}
	proofBody struct {
		Code         string `json:"code,omitempty"`
		RecoveryCode string `json:"recovery_code,omitempty" doc:"in place of code"`
		Device       string `json:"device,omitempty"`
	}
	codeBody struct {
		Code string `json:"code"`
	}
	passwordBody struct {
		CurrentPassword string `json:"current_password,omitempty" doc:"of who changes their own"`
		Password        string `json:"password,omitempty"`
		Hash            string `json:"hash,omitempty" doc:"in place of password, by the platform: argon2id or bcrypt"`
	}
	resetRequestBody struct {
		Email string `json:"email"`
	}
	resetBody struct {
		Token    string `json:"token"`
		Password string `json:"password"`
	}
	pageQuery struct {
		Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
		After string `query:"after" maxLength:"1000"`
	}
	endQuery struct {
		KeepCurrent bool `query:"keep_current" doc:"all but the session of the call"`
	}
)
