package orgs

import (
	"fmt"
	"maps"
	"slices"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// ObjectSettings say which objects beside models calls may use: what of them a call uses, gate.Call.Objects says. In lists
// absent means all, and an empty list means none. Entries are globs of ids.
type ObjectSettings struct {
	VectorStores []string            `json:"vector_stores,omitzero"`
	MCPServers   []string            `json:"mcp_servers,omitzero"`
	MCPTools     map[string][]string `json:"mcp_tools,omitempty"`    // by servers; of others all
	BlockedTools []string            `json:"blocked_tools,omitzero"` // names of tools and functions
	SearchTools  []string            `json:"search_tools,omitzero"`
	Agents       []string            `json:"agents,omitzero"`
	Skills       []string            `json:"skills,omitzero"`
}

// The kinds of objects, which come before their ids: vector_store:vs_1, or mcp_tool:SERVER/TOOL.
const (
	ObjectVectorStore = "vector_store"
	ObjectMCPServer   = "mcp_server"
	ObjectMCPTool     = "mcp_tool"
	ObjectTool        = "tool"
	ObjectSearchTool  = "search_tool"
	ObjectAgent       = "agent"
	ObjectSkill       = "skill"
)

// lists are the settings that name what may be used, by their names.
func (o *ObjectSettings) lists() map[string]struct {
	kind string
	ids  []string
} {
	return map[string]struct {
		kind string
		ids  []string
	}{"vector_stores": {ObjectVectorStore, o.VectorStores}, "mcp_servers": {ObjectMCPServer, o.MCPServers}, "search_tools": {ObjectSearchTool, o.SearchTools},
		"agents": {ObjectAgent, o.Agents}, "skills": {ObjectSkill, o.Skills}}
}

func (o *ObjectSettings) validate() error {
	if o == nil {
		return nil
	}
	check := func(name, kind string, ids []string) error {
		if len(ids) > MaxModelEntries {
			return store.Invalid("settings.objects."+name, "range", "must have at most %d entries", MaxModelEntries)
		}
		for i, id := range ids {
			if _, err := rbac.ParseResource(kind + ":" + id); err != nil || id == "" {
				return store.Invalid(fmt.Sprintf("settings.objects.%s[%d]", name, i), "pattern", "must be an id, * for any run of characters")
			}
		}
		return nil
	}
	lists := o.lists()
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		if err := check(name, lists[name].kind, lists[name].ids); err != nil {
			return err
		}
	}
	if err := check("blocked_tools", ObjectTool, o.BlockedTools); err != nil {
		return err
	}
	if err := check("mcp_tools", ObjectMCPTool, slices.Sorted(maps.Keys(o.MCPTools))); err != nil {
		return err
	}
	for _, server := range slices.Sorted(maps.Keys(o.MCPTools)) {
		if err := check("mcp_tools", ObjectMCPTool+":"+server, o.MCPTools[server]); err != nil {
			return err
		}
	}
	return nil
}

// rules are what decisions have to know of the settings.
func (o *ObjectSettings) rules() (rules []rbac.ObjectRule) {
	if o == nil {
		return nil
	}
	only := func(part, all string, of []string) {
		rule := rbac.ObjectRule{Part: part, Denied: []string{all + "*"}}
		for _, id := range of {
			rule.Except = append(rule.Except, all+id)
		}
		rules = append(rules, rule)
	}
	lists := o.lists()
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		if l := lists[name]; l.ids != nil {
			only(name, l.kind+":", l.ids)
		}
	}
	for _, server := range slices.Sorted(maps.Keys(o.MCPTools)) {
		only("mcp_tools."+server, ObjectMCPTool+":"+server+"/", o.MCPTools[server])
	}
	if len(o.BlockedTools) > 0 {
		rule := rbac.ObjectRule{Part: "blocked_tools"}
		for _, name := range o.BlockedTools { // whichever server has it
			rule.Denied = append(rule.Denied, ObjectTool+":"+name, ObjectMCPTool+":*/"+name)
		}
		rules = append(rules, rule)
	}
	return rules
}
