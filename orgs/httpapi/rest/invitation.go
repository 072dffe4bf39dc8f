package rest

import (
	"context"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
)

type invitationView struct {
	base
	OrganizationID string                `json:"organization_id"`
	TeamID         *string               `json:"team_id"`
	Email          string                `json:"email"`
	Role           string                `json:"role"`
	Message        string                `json:"message"`
	Permissions    grantsView            `json:"permissions"`
	Status         orgs.InvitationStatus `json:"status"`
	ExpiresAt      string                `json:"expires_at"`
	EmailSent      bool                  `json:"email_sent"`
	InvitedBy      string                `json:"invited_by"`
	Token          string                `json:"token,omitempty"` // once, when no mail carries it
}

func (a *api) renderInvitation(i orgs.Invitation) invitationView {
	return invitationView{base: baseOf(i.Meta), OrganizationID: i.OrgID, TeamID: optional(i.TeamID), Email: i.Email, Role: i.Role,
		Message: i.Message, Permissions: grantsOf(i.Permissions), Status: i.StatusAt(a.Store().Now()), ExpiresAt: stamp(i.ExpiresAt),
		EmailSent: i.EmailSent, InvitedBy: i.InvitedBy}
}

type newInvitation struct {
	Email         string `json:"email"`
	Role          string `json:"role"`
	Message       string `json:"message,omitempty"`
	Permissions   grants `json:"permissions,omitzero"`
	ExpiresInDays int    `json:"expires_in_days,omitempty" minimum:"1" maximum:"90"`
	SendEmail     *bool  `json:"send_email,omitempty"` // absent: true
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

func (a *api) invitations() {
	add[teamPath, newInvitation](a, http.MethodPost, "/v1/teams/{team}/invitations", "Invite somebody to a team", func(ctx context.Context, in *teamPath) (*answer[invitationView], error) {
		at, err := a.TeamPlace(ctx, in.Team)
		if err != nil {
			return nil, err
		}
		return a.invite(ctx, at, "/v1/teams/"+at.TeamID)
	})
	add[orgPath, newInvitation](a, http.MethodPost, "/v1/organizations/{org}/invitations", "Invite somebody to an organization", func(ctx context.Context, in *orgPath) (*answer[invitationView], error) {
		at, err := a.OrgPlace(ctx, in.Org)
		if err != nil {
			return nil, err
		}
		return a.invite(ctx, at, "/v1/organizations/"+at.OrgID)
	})
	add[teamList, struct{}](a, http.MethodGet, "/v1/teams/{team}/invitations", "List invitations of a team", func(ctx context.Context, in *teamList) (*answer[list[invitationView]], error) {
		at, err := a.TeamPlace(ctx, in.Team)
		if err != nil {
			return nil, err
		}
		page, err := a.Invitations(ctx, at, in.Limit, in.After)
		return listOf(page, a.renderInvitation), err
	})
	type invitationPath struct {
		Team       string `path:"team"`
		Invitation string `path:"invitation"`
	}
	add[invitationPath, struct{}](a, http.MethodGet, "/v1/teams/{team}/invitations/{invitation}", "Get an invitation", func(ctx context.Context, in *invitationPath) (*answer[invitationView], error) {
		at, err := a.TeamPlace(ctx, in.Team)
		if err != nil {
			return nil, err
		}
		i, err := a.Invitation(ctx, at, in.Invitation)
		return &answer[invitationView]{Status: 200, ETag: etag(i.Version), Body: a.renderInvitation(i)}, err
	})
	add[struct{}, answerInvitation](a, http.MethodPost, "/v1/invitations/accept", "Accept or decline an invitation", func(ctx context.Context, _ *struct{}) (*answer[answeredView], error) {
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

func (a *api) invite(ctx context.Context, at orgs.Place, path string) (*answer[invitationView], error) {
	in, err := read[newInvitation](ctx, a, false)
	if err != nil {
		return nil, err
	}
	i, token, err := a.Invite(ctx, at, orgs.NewInvitation{Email: in.Email, Role: in.Role, Message: in.Message,
		Permissions: orgs.Grants{Add: in.Permissions.Add, Remove: in.Permissions.Remove}, ExpiresInDays: in.ExpiresInDays,
		SendEmail: in.SendEmail == nil || *in.SendEmail})
	view := a.renderInvitation(i)
	view.Token = token
	return &answer[invitationView]{Status: 201, Location: a.created(path + "/invitations/" + i.ID), ETag: etag(i.Version), Body: view}, err
}
