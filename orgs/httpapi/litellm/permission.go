package litellm

import (
	"net/http"
	"reflect"
	"slices"

	"github.com/orgkit/orgkit/orgs"
)

// permissionRow is what calls may use beside models. What is empty is not limited.
type permissionRow struct {
	ID                string              `json:"object_permission_id"`
	VectorStores      []string            `json:"vector_stores"`
	MCPServers        []string            `json:"mcp_servers"`
	MCPAccessGroups   []string            `json:"mcp_access_groups"`
	MCPTools          map[string][]string `json:"mcp_tool_permissions"`
	MCPToolsets       []string            `json:"mcp_toolsets"`
	MCPToolSearch     bool                `json:"mcp_tool_search_enabled"`
	Agents            []string            `json:"agents"`
	AgentAccessGroups []string            `json:"agent_access_groups"`
	Models            []string            `json:"models"`
	BlockedTools      []string            `json:"blocked_tools"`
	SearchTools       []string            `json:"search_tools"`
	Skills            []string            `json:"skills"`
}

// permissionOf is that of an organization or team of that id, nil without one, with its own id.
func permissionOf(owner string, o *orgs.ObjectSettings) (row *permissionRow, id *string) {
	if o == nil {
		return nil, nil
	}
	list := func(ids []string) []string { return append([]string{}, ids...) }
	row = &permissionRow{ID: "perm_" + owner, VectorStores: list(o.VectorStores), MCPServers: list(o.MCPServers), MCPAccessGroups: []string{}, MCPTools: o.MCPTools,
		MCPToolsets: []string{}, Agents: list(o.Agents), AgentAccessGroups: []string{}, Models: []string{}, BlockedTools: list(o.BlockedTools),
		SearchTools: list(o.SearchTools), Skills: list(o.Skills)}
	if row.MCPTools == nil {
		row.MCPTools = map[string][]string{}
	}
	return row, &row.ID
}

// ungranted are parts of object_permission that nothing here knows the members of.
var ungranted = []string{"mcp_access_groups", "mcp_toolsets", "mcp_tool_search_enabled", "agent_access_groups", "models"}

// permission reads object_permission over what there was, field by field: null and an empty list take a limit away, and null
// instead of the object takes all of them.
func (c *call) permission(over *orgs.ObjectSettings) (*orgs.ObjectSettings, error) {
	given := c.in.object("object_permission")
	switch {
	case given.set && given.null && !c.opt.NullMeansUnchanged:
		return nil, nil
	case !given.some():
		return over, nil
	}
	var is orgs.ObjectSettings
	if over != nil {
		is = *over
	}
	f := bodyFields(given.v)
	for name, to := range map[string]*[]string{"vector_stores": &is.VectorStores, "mcp_servers": &is.MCPServers, "agents": &is.Agents, "blocked_tools": &is.BlockedTools,
		"search_tools": &is.SearchTools, "skills": &is.Skills} {
		if v := f.texts(name); v.set {
			if *to = v.v; len(v.v) == 0 {
				*to = nil
			}
		}
	}
	if v := f.object("mcp_tool_permissions"); v.set {
		is.MCPTools = nil
		of := bodyFields(v.v)
		for server := range v.v {
			if tools := of.texts(server); len(tools.v) > 0 {
				if is.MCPTools == nil {
					is.MCPTools = map[string][]string{}
				}
				is.MCPTools[server] = tools.v
			}
		}
		for _, wrong := range of.list {
			f.fault(wrong.Type, wrong.Msg, "mcp_tool_permissions")
		}
	}
	for _, wrong := range f.list {
		wrong.Loc = slices.Insert(wrong.Loc, 1, "object_permission")
		c.in.list = append(c.in.list, wrong)
	}
	slices.SortFunc(c.in.list, func(a, b fault) int { return slices.Compare(a.Loc, b.Loc) })
	for _, name := range ungranted {
		if says(map[string]raw{name: given.v[name]}) {
			return nil, detail(http.StatusBadRequest, "object_permission."+name+" is not supported by this gateway")
		}
	}
	if reflect.ValueOf(is).IsZero() {
		return nil, nil
	}
	return &is, nil
}

// aliases reads model_aliases over what there was; null takes them away.
func (c *call) aliases(over map[string]string) map[string]string {
	given := c.in.object("model_aliases")
	switch {
	case given.set && given.null && !c.opt.NullMeansUnchanged:
		return nil
	case !given.some():
		return over
	}
	of, names := bodyFields(given.v), map[string]string{}
	for name := range given.v {
		if v := of.text(name); v.some() {
			names[name] = v.v
		}
	}
	if len(of.list) > 0 {
		c.in.fault("dict_type", "Input should be a valid dictionary of names of models", "model_aliases")
	}
	return names
}

func aliasesOf(s *orgs.ModelSettings) map[string]string {
	if s == nil || s.Aliases == nil {
		return map[string]string{}
	}
	return s.Aliases
}
