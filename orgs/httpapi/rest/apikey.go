package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

type apiKeyView struct {
	base
	OrganizationID string               `json:"organization_id"`
	TeamID         *string              `json:"team_id"`
	Name           string               `json:"name"`
	UserID         *string              `json:"user_id"`
	CreatedBy      *string              `json:"created_by"`
	InheritTeam    bool                 `json:"inherit_team_permissions"`
	Permissions    []string             `json:"permissions"`
	Restrictions   orgs.KeyRestrictions `json:"additional_restrictions"`
	Metadata       json.RawMessage      `json:"metadata"`
	Prefix         string               `json:"prefix"`
	Last4          string               `json:"last4"`
	Status         orgs.KeyStatus       `json:"status"`
	ExpiresAt      *string              `json:"expires_at"`
	Key            string               `json:"key,omitempty"` // the secret, in the answer that made it
}

func (a *api) renderAPIKey(k orgs.APIKey) apiKeyView {
	return apiKeyView{base: baseOf(k.Meta), OrganizationID: k.OrgID, TeamID: optional(k.TeamID), Name: k.Name, UserID: optional(k.UserID),
		CreatedBy: optional(k.CreatedBy), InheritTeam: k.InheritTeam, Permissions: none(k.Permissions), Restrictions: k.Restrictions,
		Metadata: k.Metadata, Prefix: k.Prefix, Last4: k.Last4, Status: k.StatusAt(a.Store().Now()), ExpiresAt: stampOf(k.ExpiresAt)}
}

type newAPIKey struct {
	Name           string               `json:"name"`
	TeamID         string               `json:"team_id,omitempty"`
	OrganizationID string               `json:"organization_id,omitempty"`
	UserID         *string              `json:"user_id,omitempty"` // absent: the caller; "" nobody
	InheritTeam    *bool                `json:"inherit_team_permissions,omitempty"`
	Permissions    []string             `json:"permissions,omitempty"`
	Restrictions   orgs.KeyRestrictions `json:"additional_restrictions,omitzero"`
	Metadata       object               `json:"metadata,omitempty"`
	ExpiresAt      *time.Time           `json:"expires_at,omitempty"`
}

func (a *api) apiKeys() {
	add[struct{}, newAPIKey](a, http.MethodPost, "/v1/api-keys", "Create an API key", func(ctx context.Context, _ *struct{}) (*answer[apiKeyView], error) {
		in, err := read[newAPIKey](ctx, a, false)
		if err != nil {
			return nil, err
		}
		k, secret, err := a.CreateAPIKey(ctx, orgs.NewAPIKey{Name: in.Name, Team: in.TeamID, Organization: in.OrganizationID, User: in.UserID,
			InheritTeam: in.InheritTeam == nil || *in.InheritTeam, Permissions: in.Permissions, Restrictions: in.Restrictions,
			Metadata: json.RawMessage(in.Metadata), ExpiresAt: in.ExpiresAt})
		view := a.renderAPIKey(k)
		view.Key = secret
		return &answer[apiKeyView]{Status: 201, Location: a.created("/v1/api-keys/" + k.ID), ETag: etag(k.Version), Body: view}, err
	})
	type query struct {
		Limit          int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
		After          string `query:"after" maxLength:"1000"`
		TeamID         string `query:"team_id"`
		OrganizationID string `query:"organization_id"`
	}
	add[query, struct{}](a, http.MethodGet, "/v1/api-keys", "List API keys", func(ctx context.Context, in *query) (*answer[list[apiKeyView]], error) {
		var at orgs.Place
		var err error
		switch {
		case in.TeamID != "":
			at, err = a.TeamPlace(ctx, in.TeamID)
		case in.OrganizationID != "":
			at, err = a.OrgPlace(ctx, in.OrganizationID)
		default:
			err = store.Invalid("team_id", "required", "team_id or organization_id is required")
		}
		if err != nil {
			return nil, err
		}
		page, err := a.APIKeys(ctx, at, in.Limit, in.After)
		return listOf(page, a.renderAPIKey), err
	})
	type keyPath struct {
		Key string `path:"key"`
	}
	add[keyPath, struct{}](a, http.MethodGet, "/v1/api-keys/{key}", "Get an API key", func(ctx context.Context, in *keyPath) (*answer[apiKeyView], error) {
		k, err := a.APIKey(ctx, in.Key)
		return &answer[apiKeyView]{Status: 200, ETag: etag(k.Version), Body: a.renderAPIKey(k)}, err
	})
	add[keyPath, struct{}](a, http.MethodDelete, "/v1/api-keys/{key}", "Revoke an API key", func(ctx context.Context, in *keyPath) (*answer[apiKeyView], error) {
		k, err := a.RevokeAPIKey(ctx, in.Key, "")
		if err != nil {
			return nil, err
		}
		return ok(a.renderAPIKey(k))
	})
}
