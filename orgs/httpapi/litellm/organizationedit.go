package litellm

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/orgkit/orgkit/orgs"
)

// edit is what a request makes of an organization.
type edit struct {
	name     *string
	settings orgs.OrgSettings
	metadata map[string]raw
	tags     *[]string
	blocked  *bool
	limits   orgs.AllowanceLimits
	limited  bool // a limit is given, or taken away
	budgetID string
}

// edit reads the fields over an organization; a new one is the zero value.
func (c *call) edit(o orgs.Organization, over orgs.AllowanceLimits, replace bool) (e edit, err error) {
	f, fresh := c.in, o.ID == ""
	e.settings, e.metadata = o.Settings, map[string]raw{}
	if len(o.Metadata) > 0 {
		if err := json.Unmarshal(o.Metadata, &e.metadata); err != nil {
			return e, err
		}
	}
	old := maps.Clone(e.metadata)
	clears := func(set, null bool) bool { return set && null && !c.opt.NullMeansUnchanged }

	e.name = f.text("organization_alias").ptr()
	if v := f.object("metadata"); v.some() || clears(v.set, v.null) {
		if replace || v.null {
			e.metadata = map[string]raw{}
		}
		for name, is := range v.v {
			if delete(e.metadata, name); replace || !isNull(is) {
				e.metadata[name] = is
			}
		}
	}
	if c.route.path != "/v2/organization/{organization_id}" {
		for _, name := range lifted {
			is, given := f.given[name]
			switch {
			case !given || fresh && name == "tags":
			case !isNull(is):
				e.metadata[name] = is
			case !c.opt.NullMeansUnchanged:
				delete(e.metadata, name)
			}
		}
	}
	if v := f.texts("tags"); v.some() {
		e.tags = &v.v
	} else if clears(v.set, v.null) {
		e.tags = &[]string{}
	}
	e.blocked = f.boolean("blocked").ptr()
	models := f.texts("models")
	var had map[string]string
	if is := o.Settings.Models; is != nil {
		had = is.Aliases
	}
	aliases := c.aliases(had)
	e.settings.Objects, err = c.permission(o.Settings.Objects)
	var some bool
	limits, some, wrong := c.limits(over)
	if wrong != nil {
		return e, wrong
	}
	if err != nil {
		return e, err
	}
	e.limits, e.limited = limits, some || !fresh && c.anyLimit()
	e.budgetID = f.text("budget_id").v
	if e.budgetID != "" && some {
		if !c.opt.IgnoreSiblingBudgetFields {
			return e, errBothBudgets
		}
		e.limits, e.limited = over, false
	}
	return e, c.editModels(&e, models, aliases, old)
}

// anyLimit says whether a field of limits is there.
func (c *call) anyLimit() bool {
	return slices.ContainsFunc(budgetFields, func(name string) bool {
		is, given := c.in.given[name]
		return given && name != "allowed_models" && !(c.opt.NullMeansUnchanged && isNull(is))
	})
}

// says is whether an object says anything: nulls, empty lists and empty objects do not.
func says(object map[string]raw) bool {
	for _, r := range object {
		switch string(r) {
		case "", "null", "[]", "{}", "false":
		default:
			return true
		}
	}
	return false
}

func encoded(metadata map[string]raw) (raw, error) { return json.Marshal(metadata) }
