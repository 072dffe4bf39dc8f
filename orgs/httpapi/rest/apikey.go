package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

type apiKeyView struct {
	Base
	OrganizationID string               `json:"organization_id"`
	TeamID         *string              `json:"team_id"`
	ProjectID      *string              `json:"project_id"`
	Name           string               `json:"name"`
	Description    string               `json:"description"`
	UserID         *string              `json:"user_id"` // null: a service key
	CreatedBy      *string              `json:"created_by"`
	InheritTeam    bool                 `json:"inherit_team_permissions"`
	Permissions    []string             `json:"permissions"`
	Restrictions   orgs.KeyRestrictions `json:"additional_restrictions"`
	DefaultTags    map[string]string    `json:"default_tags"`
	Metadata       json.RawMessage      `json:"metadata"`
	Prefix         string               `json:"prefix"`
	Last4          string               `json:"last4"`
	Status         orgs.KeyStatus       `json:"status"`
	ExpiresAt      *string              `json:"expires_at"`
	LastUsedAt     *string              `json:"last_used_at"` // to the minute
	Rotation       rotationView         `json:"rotation"`
	Key            *shownOnce           `json:"key,omitempty"`
}

type rotationView struct {
	PreviousExpiresAt *string `json:"previous_expires_at"` // until when the secret before works
}

// renderKey is a key that was never used, as far as is known.
func (a *api) renderKey(k orgs.APIKey) apiKeyView {
	now := a.Store().Now()
	v := apiKeyView{Base: baseOf(k.Meta), OrganizationID: k.OrgID, TeamID: optional(k.TeamID), ProjectID: optional(k.ProjectID), Name: k.Name, Description: k.Description,
		UserID: optional(k.UserID), CreatedBy: optional(k.CreatedBy), InheritTeam: k.InheritTeam, Permissions: filled(k.Permissions),
		Restrictions: k.Restrictions, DefaultTags: k.DefaultTags, Metadata: k.Metadata, Prefix: k.Prefix, Last4: k.Last4,
		Status: k.StatusAt(now), ExpiresAt: httpapi.StampOf(k.ExpiresAt)}
	if v.DefaultTags == nil {
		v.DefaultTags = map[string]string{}
	}
	if k.PreviousExpiresAt != nil && now.Before(*k.PreviousExpiresAt) {
		v.Rotation.PreviousExpiresAt = httpapi.StampOf(k.PreviousExpiresAt)
	}
	return v
}

// renderKeys are keys of one organization with their last use.
func (a *api) renderKeys(ctx context.Context, keys ...orgs.APIKey) (map[string]apiKeyView, error) {
	views := make(map[string]apiKeyView, len(keys))
	ids := make([]string, len(keys))
	for i, k := range keys {
		views[k.ID], ids[i] = a.renderKey(k), k.ID
	}
	if len(keys) == 0 {
		return views, nil
	}
	used, err := a.LastUsed(ctx, keys[0].OrgID, ids...)
	for id, at := range used {
		v := views[id]
		v.LastUsedAt = httpapi.StampOf(&at)
		views[id] = v
	}
	return views, err
}

func (a *api) apiKey(ctx context.Context, k orgs.APIKey, err error) (*answer[apiKeyView], error) {
	if err != nil {
		return nil, err
	}
	views, err := a.renderKeys(ctx, k)
	return one(k.Version, views[k.ID], err)
}

// withSecret is a key in the answer that made its secret.
func (a *api) withSecret(k orgs.CreatedAPIKey) apiKeyView {
	v := a.renderKey(k.Key)
	v.Key = once(k.Secret)
	return v
}

type newAPIKey struct {
	Name           string               `json:"name"`
	Description    string               `json:"description,omitempty"`
	TeamID         string               `json:"team_id,omitempty" doc:"id or slug"`
	OrganizationID string               `json:"organization_id,omitempty" doc:"id or slug, for a key outside of teams"`
	ProjectID      string               `json:"project_id,omitempty" doc:"id or slug"`
	UserID         *string              `json:"user_id,omitempty" doc:"absent: the caller; null: nobody, a service key"`
	InheritTeam    *bool                `json:"inherit_team_permissions,omitempty"` // absent: true
	Permissions    []string             `json:"permissions,omitempty"`
	Restrictions   orgs.KeyRestrictions `json:"additional_restrictions,omitzero"`
	DefaultTags    map[string]string    `json:"default_tags,omitempty"`
	Metadata       object               `json:"metadata,omitempty"`
	ExpiresAt      *time.Time           `json:"expires_at,omitempty"`
}

func (in *newAPIKey) nulls(has fields) {
	if _, named := has["user_id"]; named && in.UserID == nil {
		in.UserID = new(string)
	}
}

func (in newAPIKey) input() orgs.NewAPIKey {
	return orgs.NewAPIKey{Name: in.Name, Description: in.Description, Team: in.TeamID, Organization: in.OrganizationID, Project: in.ProjectID, User: in.UserID,
		InheritTeam: or(in.InheritTeam, true), Permissions: in.Permissions, Restrictions: in.Restrictions, DefaultTags: in.DefaultTags,
		Metadata: json.RawMessage(in.Metadata), ExpiresAt: in.ExpiresAt}
}

// apiKeyBody is what a key can be changed to.
type apiKeyBody struct {
	Name         string               `json:"name"`
	Description  string               `json:"description,omitempty"`
	UserID       string               `json:"user_id,omitempty"`
	InheritTeam  bool                 `json:"inherit_team_permissions,omitempty"`
	Permissions  []string             `json:"permissions,omitempty"`
	Restrictions orgs.KeyRestrictions `json:"additional_restrictions,omitzero"`
	DefaultTags  map[string]string    `json:"default_tags,omitempty"`
	Metadata     object               `json:"metadata,omitempty"`
	ExpiresAt    *time.Time           `json:"expires_at,omitempty"`
}

type keyQuery struct {
	TeamID         string         `query:"team_id"`
	OrganizationID string         `query:"organization_id"`
	ProjectID      string         `query:"project_id" doc:"with organization_id"`
	UserID         string         `query:"user_id" doc:"id or e-mail address of the person bound to it"`
	Status         orgs.KeyStatus `query:"status" enum:"active,disabled,revoked,expired"`
	Limit          int            `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After          string         `query:"after" maxLength:"1000"`
}

func (a *api) keysPlace(ctx context.Context, q *keyQuery) (orgs.Place, error) {
	switch {
	case q.TeamID != "" && (q.ProjectID != "" || q.OrganizationID != ""):
		return orgs.Place{}, faulty("query.team_id", "range", "stands alone")
	case q.TeamID != "":
		return a.TeamPlace(ctx, q.TeamID)
	case q.OrganizationID == "":
		return orgs.Place{}, faulty("query.team_id", "required", "team_id or organization_id is required")
	case q.ProjectID != "":
		return a.ProjectPlace(ctx, q.OrganizationID, q.ProjectID)
	}
	return a.OrgPlace(ctx, q.OrganizationID)
}

const keyPath = "/v1/api-keys"

func (a *api) apiKeys() {
	create[newAPIKey](a, keyPath, "Create an API key", func(ctx context.Context, _ *none) (*answer[apiKeyView], error) {
		in, err := read[newAPIKey](ctx, a, false)
		if err != nil {
			return nil, err
		}
		k, secret, err := a.CreateAPIKey(ctx, in.input())
		return made(a, keyPath+"/"+k.ID, k.Version, a.withSecret(orgs.CreatedAPIKey{Key: k, Secret: secret}), err)
	})
	addBulk(a, keyPath+"/bulk", "Create many API keys", func(ctx context.Context, _ *none) (*answer[rowsView], error) {
		return bulk(ctx, a, newAPIKey.input, a.CreateAPIKeys, a.withSecret)
	})
	add[keyQuery, none](a, http.MethodGet, keyPath, "List API keys", a.listKeys)
	a.oneAPIKey(keyPath + "/{key}")
	a.keyStates(keyPath + "/{key}")
	a.vendorKeys()
}

func (a *api) listKeys(ctx context.Context, q *keyQuery) (*answer[list[apiKeyView]], error) {
	at, err := a.keysPlace(ctx, q)
	if err != nil {
		return nil, err
	}
	page, err := a.APIKeys(ctx, at, orgs.KeyFilter{User: q.UserID, Status: q.Status, Limit: q.Limit, After: q.After})
	if err != nil {
		return nil, err
	}
	views, err := a.renderKeys(ctx, page.Items...)
	return listOf(page, err, always(func(k orgs.APIKey) apiKeyView { return views[k.ID] }))
}

func (a *api) oneAPIKey(path string) {
	get := func(ctx context.Context) (orgs.APIKey, error) { return a.APIKey(ctx, param(ctx, "key")) }
	add[none, none](a, http.MethodGet, path, "Get an API key", func(ctx context.Context, _ *none) (*answer[apiKeyView], error) {
		k, err := get(ctx)
		return a.apiKey(ctx, k, err)
	})
	add[none, apiKeyBody](a, http.MethodPatch, path, "Change an API key", func(ctx context.Context, _ *none) (*answer[apiKeyView], error) {
		k, err := patch(ctx, a, editing[orgs.APIKey, apiKeyBody]{
			get:     get,
			version: func(k orgs.APIKey) int64 { return k.Version },
			view: func(ctx context.Context, k orgs.APIKey) (any, error) {
				views, err := a.renderKeys(ctx, k)
				return views[k.ID], err
			},
			body: func(k orgs.APIKey) apiKeyBody {
				return apiKeyBody{k.Name, k.Description, k.UserID, k.InheritTeam, k.Permissions, k.Restrictions, k.DefaultTags, object(k.Metadata), k.ExpiresAt}
			},
			put: func(ctx context.Context, k orgs.APIKey, b apiKeyBody, has fields) (orgs.APIKey, error) {
				return a.UpdateAPIKey(ctx, k.ID, orgs.KeyUpdate{Name: given(has, "name", b.Name), Description: given(has, "description", b.Description), User: given(has, "user_id", b.UserID),
					InheritTeam: given(has, "inherit_team_permissions", b.InheritTeam), Permissions: given(has, "permissions", b.Permissions),
					Restrictions: given(has, "additional_restrictions", b.Restrictions), DefaultTags: given(has, "default_tags", b.DefaultTags),
					Metadata: given(has, "metadata", json.RawMessage(b.Metadata)), ExpiresAt: given(has, "expires_at", orZero(b.ExpiresAt))})
			}})
		return a.apiKey(ctx, k, err)
	})
	add[none, because](a, http.MethodDelete, path, "Revoke an API key", func(ctx context.Context, _ *none) (*answer[apiKeyView], error) {
		return a.withReason(ctx, a.RevokeAPIKey)
	})
}

type rotateBody struct {
	OverlapMinutes int `json:"overlap_minutes,omitempty" minimum:"0" maximum:"43200" doc:"for how long the old secret works on"`
}

func (a *api) keyStates(path string) {
	add[none, rotateBody](a, http.MethodPost, path+"/rotate", "Give an API key a new secret", func(ctx context.Context, _ *none) (*answer[apiKeyView], error) {
		in, err := read[rotateBody](ctx, a, false)
		if err != nil {
			return nil, err
		}
		k, secret, err := a.RotateAPIKey(ctx, param(ctx, "key"), time.Duration(in.OverlapMinutes)*time.Minute)
		out, err := a.apiKey(ctx, k, err)
		if err == nil {
			out.Body.Key = once(secret)
		}
		return out, err
	})
	add[none, because](a, http.MethodPost, path+"/disable", "Stop an API key", func(ctx context.Context, _ *none) (*answer[apiKeyView], error) {
		return a.withReason(ctx, a.DisableAPIKey)
	})
	add[none, because](a, http.MethodPost, path+"/enable", "Let a disabled API key work again", func(ctx context.Context, _ *none) (*answer[apiKeyView], error) {
		return a.withReason(ctx, a.EnableAPIKey)
	})
}

// withReason does something with the key of the path, for the reason in the body.
func (a *api) withReason(ctx context.Context, do func(ctx context.Context, id, reason string) (orgs.APIKey, error)) (*answer[apiKeyView], error) {
	in, err := read[because](ctx, a, false)
	if err != nil {
		return nil, err
	}
	k, err := do(ctx, param(ctx, "key"), in.Reason)
	return a.apiKey(ctx, k, err)
}
