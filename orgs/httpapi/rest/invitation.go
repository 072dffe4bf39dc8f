package rest

import (
	"context"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

type invitationView struct {
	Base
	OrganizationID string                `json:"organization_id"`
	TeamID         *string               `json:"team_id"`
	ProjectID      *string               `json:"project_id"`
	Email          string                `json:"email"`
	Role           string                `json:"role"`
	Message        string                `json:"message"`
	Permissions    grantsView            `json:"permissions"`
	Status         orgs.InvitationStatus `json:"status"`
	ExpiresAt      string                `json:"expires_at"`
	EmailSent      bool                  `json:"email_sent"`
	InvitedBy      string                `json:"invited_by"`
	Token          *shownOnce            `json:"token,omitempty"` // when no mail carries it
}

func (a *api) renderInvitation(i orgs.Invitation) invitationView {
	v := invitationView{Base: baseOf(i.Meta), OrganizationID: i.OrgID, Email: i.Email, Role: i.Role,
		Message: i.Message, Permissions: grantsOf(i.Permissions), Status: i.StatusAt(a.Store().Now()), ExpiresAt: httpapi.Stamp(i.ExpiresAt),
		EmailSent: i.EmailSent, InvitedBy: i.InvitedBy}
	v.TeamID, v.ProjectID = partOf(orgs.Place{OrgID: i.OrgID, TeamID: i.TeamID})
	return v
}

// partOf are the ids of the team or project of a place, null where it is none.
func partOf(at orgs.Place) (team, project *string) {
	if at.IsProject() {
		return nil, &at.TeamID
	}
	return optional(at.TeamID), nil
}

// renderInvited is an invitation with its token.
func (a *api) renderInvited(i orgs.Invited) invitationView {
	view := a.renderInvitation(i.Invitation)
	view.Token = once(i.Token)
	return view
}

type newInvitation struct {
	Email         string `json:"email"`
	Role          string `json:"role"`
	Message       string `json:"message,omitempty"`
	Permissions   grants `json:"permissions,omitzero"`
	ExpiresInDays int    `json:"expires_in_days,omitempty" minimum:"1" maximum:"90"`
	SendEmail     *bool  `json:"send_email,omitempty"` // absent: true
}

func (in newInvitation) input() orgs.NewInvitation {
	return orgs.NewInvitation{Email: in.Email, Role: in.Role, Message: in.Message, Permissions: in.Permissions.input(),
		ExpiresInDays: in.ExpiresInDays, SendEmail: or(in.SendEmail, true)}
}

type answerInvitation struct {
	Token  string `json:"token"`
	Accept bool   `json:"accept"`
}

type answeredView struct {
	Status     orgs.InvitationStatus `json:"status"`
	Invitation invitationView        `json:"invitation"`
	Membership *memberView           `json:"membership"`
}

// invitations serves invitations to organizations, teams and projects alike.
func (a *api) invitations() {
	for _, place := range places {
		a.invitationsAt(place + "/invitations")
		a.oneInvitationAt(place + "/invitations/{invitation}")
	}
	add[none, answerInvitation](a, http.MethodPost, "/v1/invitations/accept", "Accept or decline an invitation", func(ctx context.Context, _ *none) (*answer[answeredView], error) {
		body, err := read[answerInvitation](ctx, a, false)
		if err != nil {
			return nil, err
		}
		i, ms, err := a.AnswerInvitation(ctx, body.Token, body.Accept)
		if err != nil {
			return nil, err
		}
		v := answeredView{Status: i.Status, Invitation: a.renderInvitation(i)}
		if ms != nil {
			m := renderMember(*ms)
			v.Membership = &m
		}
		return ok(v)
	})
}

func (a *api) invitationsAt(path string) {
	create[newInvitation](a, path, "Invite somebody", func(ctx context.Context, _ *none) (*answer[invitationView], error) {
		at, in, err := placed[newInvitation](ctx, a)
		if err != nil {
			return nil, err
		}
		i, token, err := a.Invite(ctx, at, in.input())
		return made(a, pathOf(at)+"/invitations/"+i.ID, i.Version, a.renderInvited(orgs.Invited{Invitation: i, Token: token}), err)
	})
	addBulk(a, path+"/bulk", "Invite many", func(ctx context.Context, _ *none) (*answer[rowsView], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		return bulk(ctx, a, newInvitation.input, func(ctx context.Context, rows []orgs.NewInvitation, atomic bool) ([]orgs.Row[orgs.Invited], error) {
			return a.InviteMany(ctx, at, rows, atomic)
		}, a.renderInvited)
	})
	type query struct {
		Status orgs.InvitationStatus `query:"status" enum:"pending,accepted,declined,revoked,expired"`
		Email  string                `query:"email"`
		Limit  int                   `query:"limit" minimum:"1" maximum:"200" default:"50"`
		After  string                `query:"after" maxLength:"1000"`
	}
	add[query, none](a, http.MethodGet, path, "List invitations", func(ctx context.Context, q *query) (*answer[list[invitationView]], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		page, err := a.Invitations(ctx, at, orgs.InvitationFilter{Status: q.Status, Email: q.Email, Limit: q.Limit, After: q.After})
		return listOf(page, err, always(a.renderInvitation))
	})
}

func (a *api) oneInvitationAt(path string) {
	add[none, none](a, http.MethodGet, path, "Get an invitation", func(ctx context.Context, _ *none) (*answer[invitationView], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		i, err := a.Invitation(ctx, at, param(ctx, "invitation"))
		return one(i.Version, a.renderInvitation(i), err)
	})
	add[none, none](a, http.MethodDelete, path, "Revoke an invitation", func(ctx context.Context, _ *none) (*answer[invitationView], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		i, err := a.RevokeInvitation(ctx, at, param(ctx, "invitation"))
		return one(i.Version, a.renderInvitation(i), err)
	})
	add[none, none](a, http.MethodPost, path+"/resend", "Give an invitation a new token", func(ctx context.Context, _ *none) (*answer[invitationView], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		i, token, err := a.ResendInvitation(ctx, at, param(ctx, "invitation"))
		return one(i.Version, a.renderInvited(orgs.Invited{Invitation: i, Token: token}), err)
	})
}
