package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
)

// TestCallsUseOnlyTheObjectsThatTheyMay has a team confine what calls use beside models (F433).
func TestCallsUseOnlyTheObjectsThatTheyMay(t *testing.T) {
	f := newFront(t, `{"objects": {"vector_stores": ["vs_1", "shared_*"], "mcp_servers": ["github", "https://mcp.example/*"], "mcp_tools": {"github": ["search"]},
		"blocked_tools": ["shell"], "skills": []}}`, nil)
	f.upstream = answer(`{"usage": {"prompt_tokens": 1, "completion_tokens": 1}}`)
	ask := func(more string) int {
		t.Helper()
		status, text := f.ask("/v1/chat/completions", strings.Replace(chat, `"max_tokens"`, more+`, "max_tokens"`, 1))
		if status != 200 {
			require.Contains(t, text, `"object_not_allowed"`)
		}
		return status
	}
	for more, want := range map[string]int{
		`"a": 1`:                               200,
		`"vector_store_ids": ["vs_1"]`:         200,
		`"vector_store_ids": ["shared_2"]`:     200,
		`"vector_store_ids": ["vs_1", "vs_2"]`: 403,
		`"tools": [{"type": "file_search", "vector_store_ids": ["vs_2"]}]`:                                                                   403,
		`"tools": [{"type": "file_search", "file_search": {"vector_store_ids": ["vs_1"], "Vector_Store_Ids": ["vs_2"]}}]`:                    403,
		`"tools": [{"type": "file_search", "vector_store\u005fids": ["vs_2"]}]`:                                                              403,
		`"tools": [{"type": "function", "function": {"name": "weather"}}]`:                                                                   200,
		`"tools": [{"type": "function", "function": {"name": "shell"}}]`:                                                                     403,
		`"tools": [{"name": "shell", "input_schema": {}}]`:                                                                                   403,
		`"functions": [{"name": "shell"}]`:                                                                                                   403,
		`"tools": [{"type": "mcp", "server_label": "x", "server_url": "litellm_proxy/mcp/github", "allowed_tools": ["search"]}]`:             200,
		`"tools": [{"type": "mcp", "server_label": "x", "server_url": "litellm_proxy/mcp/github", "allowed_tools": ["search", "delete"]}]`:   403,
		`"tools": [{"type": "mcp", "server_label": "x", "server_url": "litellm_proxy/mcp/github"}]`:                                          403, // all that it has
		`"tools": [{"type": "mcp", "server_label": "github", "server_url": "https://evil.example"}]`:                                         403, // a label is not where it goes
		`"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://mcp.example/a"}]`:                                             200,
		`"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://mcp.example/a", "allowed_tools": {"tool_names": ["shell"]}}]`: 403,
		`"mcp_servers": [{"type": "url", "name": "github", "url": "https://evil.example"}]`:                                                  403,
		`"container": {"skills": [{"type": "custom", "skill_id": "skill_1"}]}`:                                                               403,
		`"messages": [], "x": {"vector_store_ids": ["vs_2"]}`:                                                                                200, // nothing that is used
	} {
		require.Equal(t, want, ask(more), more)
	}
	status, text := f.ask("/v1/chat/completions", strings.Replace(chat, `"max_tokens"`, `"Tools": [], "max_tokens"`, 1))
	require.Equal(t, http.StatusBadRequest, status, text)
	many := strings.Repeat(`{"name": "a", "vector_store_ids": [1]},`, 10) + strings.Repeat(`{"x": `, 2000) + "1" + strings.Repeat("}", 2000)
	require.Equal(t, 200, ask(`"tools": [`+many+`]`))
	var ids []string
	for i := range 1100 {
		ids = append(ids, `"shared_`+strings.Repeat("x", i)+`"`)
	}
	status, text = f.ask("/v1/chat/completions", strings.Replace(chat, `"max_tokens"`, `"vector_store_ids": [`+strings.Join(ids, ",")+`], "max_tokens"`, 1))
	require.Equal(t, http.StatusBadRequest, status, text)
}

// TestModelsHaveOtherNames has an organization and a team name models as they like (F432). No name opens what a rule refuses.
func TestModelsHaveOtherNames(t *testing.T) {
	f := newFront(t, `{"models": {"allowed": ["gpt-4o"], "aliases": {"best": "gpt", "gpt-4o-too": "claude"}}}`, nil)
	f.upstream = answer(`{"usage": {"prompt_tokens": 1, "completion_tokens": 1}}`)
	_, err := f.UpdateOrganization(f.Platform(), f.org.ID, orgs.OrganizationUpdate{Settings: &orgs.OrgSettings{Models: &orgs.ModelSettings{Aliases: map[string]string{"best": "claude", "house": "gpt-4o", "gpt-4o": "claude"}}}})
	require.NoError(t, err)
	for model, want := range map[string]int{
		"best":       200, // the team's name wins
		"house":      200,
		"claude":     403,
		"gpt-4o-too": 403,
		"gpt-4o":     403, // another model has its name now, which is refused under any
		"gpt":        200,
		"nothing":    400,
	} {
		status, text := f.ask("/v1/chat/completions", strings.Replace(chat, `"gpt"`, `"`+model+`"`, 1))
		require.Equal(t, want, status, "%s: %s", model, text)
	}
	_, err = f.UpdateOrganization(f.Platform(), f.org.ID, orgs.OrganizationUpdate{Settings: &orgs.OrgSettings{}})
	require.NoError(t, err)
	status, _ := f.ask("/v1/chat/completions", strings.Replace(chat, `"gpt"`, `"house"`, 1))
	require.Equal(t, 400, status, "from the very next call on")
	_, err = f.UpdateOrganization(f.Platform(), f.org.ID, orgs.OrganizationUpdate{Settings: &orgs.OrgSettings{Models: &orgs.ModelSettings{Aliases: map[string]string{"": "gpt"}}}})
	require.ErrorContains(t, err, "settings.models.aliases")
}
