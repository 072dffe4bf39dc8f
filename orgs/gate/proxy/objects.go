package proxy

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/orgkit/orgkit/orgs"
)

// toolFields are where a body says which tools, and what beside them, a call is to use. What the conversation says is not
// looked at: it uses nothing.
var toolFields = []string{"tools", "functions", "mcp_servers", "vector_store_ids", "container", "plugins", "tool_choice", "file_search"}

// objects are what a call uses beside its model, each once: as with features it would rather see one that is not there than
// miss one. An MCP server is known by its URL or connector, which is where calls go, and by its label only where it has neither.
func (q *question) objects() (list []string) {
	for _, field := range toolFields {
		raw := q.fields.get(field)
		if !set(raw) {
			continue
		}
		whole := `{"` + field + `":` + raw + "}"
		if strings.Contains(whole, `\u`) || strings.Contains(strings.ToLower(whole), "_id") { // else no name can be one
			for _, id := range texts(whole, "vector_store_ids", "vector_store_id") {
				list = append(list, orgs.ObjectVectorStore+":"+id)
			}
			for _, id := range texts(whole, "skill_id") {
				list = append(list, orgs.ObjectSkill+":"+id)
			}
		}
		if field == "mcp_servers" || field == "functions" || field == "tools" {
			gjson.Parse(raw).ForEach(func(_, one gjson.Result) bool {
				list = toolOf(list, field, one)
				return true
			})
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// members are the members of an object of these names, in any case: which of several the upstream takes is not known.
func members(object gjson.Result, names ...string) (found []gjson.Result) {
	if !object.IsObject() {
		return nil
	}
	object.ForEach(func(key, value gjson.Result) bool {
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, key.Str) }) && value.Type != gjson.Null {
			found = append(found, value)
		}
		return true
	})
	return found
}

// toolOf finds the names of a tool or function, or the server of an MCP tool with the tools that it may be asked for.
func toolOf(list []string, field string, tool gjson.Result) []string {
	for _, of := range append(members(tool, "function", "custom"), tool) {
		for _, name := range members(of, "name") {
			if field != "mcp_servers" {
				list = append(list, orgs.ObjectTool+":"+name.String())
			}
		}
	}
	servers := members(tool, "server_url", "connector_id")
	if field == "mcp_servers" {
		servers = append(servers, members(tool, "url")...)
	}
	if len(servers) == 0 {
		if servers = members(tool, "server_label", "mcp_server_name"); len(servers) == 0 {
			return list
		}
	}
	var named []string
	asked := members(tool, "allowed_tools")
	for _, c := range members(tool, "tool_configuration") {
		asked = append(asked, members(c, "allowed_tools")...)
	}
	for _, a := range asked {
		if a.IsObject() {
			for _, names := range members(a, "tool_names") {
				names.ForEach(func(_, n gjson.Result) bool { named = append(named, n.String()); return true })
			}
			continue
		}
		a.ForEach(func(_, n gjson.Result) bool { named = append(named, n.String()); return true })
	}
	if len(named) == 0 {
		named = []string{"*"} // all that it has
	}
	for _, s := range servers {
		id := strings.TrimPrefix(s.String(), "litellm_proxy/mcp/")
		list = append(list, orgs.ObjectMCPServer+":"+id)
		for _, name := range named {
			list = append(list, orgs.ObjectMCPTool+":"+id+"/"+name)
		}
	}
	return list
}
