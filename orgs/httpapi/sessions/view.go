package sessions

import (
	"fmt"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
)

// SessionView is a session as it is answered. It is exported for the description of the API, which sees no other embedded types.
type SessionView struct {
	ID            string   `json:"id"`
	CreatedAt     string   `json:"created_at"`
	UpdatedAt     string   `json:"updated_at"`
	ETag          string   `json:"etag"`
	UserID        string   `json:"user_id"`
	Methods       []string `json:"methods"`
	ExpiresAt     string   `json:"expires_at"`
	MFAVerifiedAt *string  `json:"mfa_verified_at"`
	MFAPending    bool     `json:"mfa_pending"`
	IP            *string  `json:"ip"`
	UserAgent     string   `json:"user_agent"`
	Current       bool     `json:"current"`
}

func render(s orgs.Session, by audit.Actor) SessionView {
	v := SessionView{ID: s.ID, CreatedAt: httpapi.Stamp(s.CreatedAt), UpdatedAt: httpapi.Stamp(s.UpdatedAt), ETag: fmt.Sprintf(`"%d"`, s.Version), UserID: s.UserID,
		Methods: append([]string{}, s.Methods...), ExpiresAt: httpapi.Stamp(s.ExpiresAt), MFAVerifiedAt: httpapi.StampOf(s.MFAVerifiedAt), MFAPending: s.Pending,
		UserAgent: s.UserAgent, Current: s.ID == by.SessionID}
	if s.IP != "" {
		v.IP = &s.IP
	}
	return v
}

type personView struct {
	ID            string     `json:"id"`
	Email         string     `json:"email"`
	Name          string     `json:"name"`
	EmailVerified bool       `json:"email_verified"`
	Status        rbac.State `json:"status"`
}

// signedInView is the answer to who signs in. Secrets are in it once; those that a cookie carries are not.
type signedInView struct {
	SessionView
	User        personView `json:"user"`
	MFARequired bool       `json:"mfa_required"`
	Token       string     `json:"token,omitempty"`
	Device      string     `json:"device,omitempty"`
}

type verifiedView struct {
	SessionView
	Device string `json:"device,omitempty"`
}

type listView struct {
	Data       []SessionView `json:"data"`
	HasMore    bool          `json:"has_more"`
	NextCursor *string       `json:"next_cursor"`
}

type endedView struct {
	SessionsEnded int `json:"sessions_ended"`
}

type mfaView struct {
	Enrolled      bool    `json:"enrolled"`
	EnrolledAt    *string `json:"enrolled_at"`
	RecoveryCodes int     `json:"recovery_codes"` // that are left
}

// enrolmentView shows the key once: null where the answer is repeated.
type enrolmentView struct {
	Secret     *string `json:"secret"`
	OTPAuthURL *string `json:"otpauth_url"`
}

func (enrolmentView) withoutSecrets() any { return enrolmentView{} }

// recoveryView shows the codes once: null where the answer is repeated.
type recoveryView struct {
	RecoveryCodes []string `json:"recovery_codes"`
}

func (recoveryView) withoutSecrets() any { return recoveryView{} }

type requestedView struct {
	Requested bool `json:"requested"`
}

type changedView struct {
	Changed bool `json:"changed"`
}

// resetView shows the token once: null where the answer is repeated.
type resetView struct {
	Token     *string `json:"token"`
	ExpiresAt string  `json:"expires_at"`
}

func (v resetView) withoutSecrets() any { return resetView{nil, v.ExpiresAt} }
