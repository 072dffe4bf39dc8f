package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
)

type teamView struct {
	base
	OrganizationID string            `json:"organization_id"`
	Name           string            `json:"name"`
	Slug           string            `json:"slug"`
	Description    string            `json:"description"`
	Settings       orgs.TeamSettings `json:"settings"`
	Status         rbac.State        `json:"status"`
}

func renderTeam(t orgs.Team) teamView {
	return teamView{base: baseOf(t.Meta), OrganizationID: t.OrgID, Name: t.Name, Slug: t.Slug, Description: t.Description, Settings: t.Settings, Status: t.State}
}

type newTeam struct {
	Name        string            `json:"name"`
	Slug        string            `json:"slug,omitempty"`
	Description string            `json:"description,omitempty"`
	Settings    orgs.TeamSettings `json:"settings,omitzero"`
}

// teamPatch changes settings by a merge patch (RFC 7396): null takes a setting back.
type teamPatch struct {
	Settings object `json:"settings"`
}

type teamPath struct {
	Team string `path:"team"`
}

type teamList struct {
	Team  string `path:"team"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After string `query:"after" maxLength:"1000"`
}

func (a *api) teams() {
	add[orgPath, newTeam](a, http.MethodPost, "/v1/organizations/{org}/teams", "Create a team", func(ctx context.Context, in *orgPath) (*answer[teamView], error) {
		if _, err := a.OrgID(ctx, in.Org); err != nil {
			return nil, err
		}
		body, err := read[newTeam](ctx, a, false)
		if err != nil {
			return nil, err
		}
		t, err := a.CreateTeam(ctx, in.Org, orgs.NewTeam{Name: body.Name, Slug: body.Slug, Description: body.Description, Settings: body.Settings})
		return &answer[teamView]{Status: 201, Location: a.created("/v1/teams/" + t.ID), ETag: etag(t.Version), Body: renderTeam(t)}, err
	})
	add[orgList, struct{}](a, http.MethodGet, "/v1/organizations/{org}/teams", "List teams", func(ctx context.Context, in *orgList) (*answer[list[teamView]], error) {
		page, err := a.Teams(ctx, in.Org, in.Limit, in.After)
		return listOf(page, renderTeam), err
	})
	add[teamPath, struct{}](a, http.MethodGet, "/v1/teams/{team}", "Get a team", func(ctx context.Context, in *teamPath) (*answer[teamView], error) {
		t, err := a.Team(ctx, in.Team)
		return &answer[teamView]{Status: 200, ETag: etag(t.Version), Body: renderTeam(t)}, err
	})
	add[teamPath, teamPatch](a, http.MethodPatch, "/v1/teams/{team}", "Change a team's settings", func(ctx context.Context, in *teamPath) (*answer[teamView], error) {
		t, err := a.Team(ctx, in.Team)
		if err != nil {
			return nil, err
		}
		body, err := read[teamPatch](ctx, a, true)
		if err != nil {
			return nil, err
		}
		settings, err := a.patchSettings(t.Settings, json.RawMessage(body.Settings))
		if err != nil {
			return nil, err
		}
		t, err = a.UpdateTeamSettings(ctx, t.ID, settings)
		return &answer[teamView]{Status: 200, ETag: etag(t.Version), Body: renderTeam(t)}, err
	})
}

// patchSettings merges the patch into the settings and reads the result as a new team's would be.
func (a *api) patchSettings(now orgs.TeamSettings, patch json.RawMessage) (orgs.TeamSettings, error) {
	before, err := json.Marshal(now)
	if err != nil {
		return now, err
	}
	merged, err := merge(before, patch)
	if err != nil {
		return now, err
	}
	body, err := json.Marshal(map[string]json.RawMessage{"name": json.RawMessage(`"x"`), "settings": merged})
	if err != nil {
		return now, err
	}
	team, err := decode[newTeam](a, body, false)
	return team.Settings, err
}

// merge applies RFC 7396. Numbers keep their digits.
func merge(target, patch json.RawMessage) (json.RawMessage, error) {
	read := func(b []byte) (v any, err error) {
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		return v, dec.Decode(&v)
	}
	t, err := read(target)
	if err != nil {
		return nil, err
	}
	p, err := read(patch)
	if err != nil {
		return nil, err
	}
	return json.Marshal(mergeValue(t, p))
}

func mergeValue(target, patch any) any {
	p, isObject := patch.(map[string]any)
	if !isObject {
		return patch
	}
	t, isObject := target.(map[string]any)
	if !isObject {
		t = map[string]any{}
	}
	for name, value := range p {
		if value == nil {
			delete(t, name)
		} else {
			t[name] = mergeValue(t[name], value)
		}
	}
	return t
}
