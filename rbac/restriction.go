package rbac

import (
	"github.com/orgkit/orgkit/store"
)

// Restriction is what decisions know of a team or project: whose it is, its state, and what its settings
// forbid. An organization whose settings forbid something has one too, which binds all below it. Its id is
// theirs, and the floor above writes it in the unit that writes the settings.
type Restriction struct {
	store.Meta
	OrgID           string       `json:"organization_id"`
	State           State        `json:"state"`            // Active or Archived
	Allowed         []string     `json:"allowed"`          // globs of model ids; meaningful when Limited
	Limited         bool         `json:"limited"`          // false: every model is allowed
	Blocked         []string     `json:"blocked"`          // globs; wins over all else
	RequireApproval []string     `json:"require_approval"` // globs; allowed once approved (F320)
	FeaturesOff     []string     `json:"features_off"`     // names of features that are refused
	Objects         []ObjectRule `json:"objects"`
}

// ObjectRule refuses the use of objects beside models: vector stores, tools and the like. Both lists are patterns of
// resources.
type ObjectRule struct {
	Part   string   `json:"part"` // of the settings
	Denied []string `json:"denied"`
	Except []string `json:"except,omitempty"`
}

// Restrictions holds one record per team and project, and one per organization that has such settings. Only
// the floor above writes it, inside [Guard.Change].
var Restrictions = store.Define[Restriction]("restrictions", "team", store.Traced("id"),
	store.Index("org_id"))

// rules compiles the settings to statements, so that one engine decides and explains everything.
func (r Restriction) rules(source string) []Rule {
	team := r.ID
	if team == r.OrgID {
		team = ""
	}
	deny := func(part, code string, st Statement) Rule {
		st.Effect = EffectDeny
		return Rule{ID: r.ID + "/" + part, Pool: PoolSettings, Source: source + ", " + part, Team: team, Code: code, Statement: st}
	}
	use := []string{"models.use", "models.read"}
	var rules []Rule
	if len(r.Blocked) > 0 {
		rules = append(rules, deny("models.blocked", "model_not_allowed", Statement{Actions: use, Resources: models(r.Blocked)}))
	}
	if r.Limited {
		permitted := append(models(r.Allowed), models(r.RequireApproval)...)
		rules = append(rules, deny("models.allowed", "model_not_allowed", Statement{Actions: use, Resources: []string{"model:*"}, NotResources: permitted}))
	}
	if len(r.RequireApproval) > 0 {
		rules = append(rules, deny("models.require_approval", "approval_required", Statement{
			Actions: []string{"models.use"}, Resources: models(r.RequireApproval),
			Conditions: Conditions{Approval: &ApprovalCondition{Type: ApprovalMissing}},
		}))
	}
	for _, f := range r.FeaturesOff {
		rules = append(rules, deny("features."+f, "feature_disabled", Statement{
			Actions: []string{"models.use"}, Resources: []string{"feature:" + f},
		}))
	}
	for _, o := range r.Objects {
		rules = append(rules, deny("objects."+o.Part, "object_not_allowed", Statement{Actions: []string{"models.use"}, Resources: o.Denied, NotResources: o.Except}))
	}
	return rules
}

func models(globs []string) []string {
	out := make([]string, len(globs))
	for i, g := range globs {
		out[i] = ModelPattern(g)
	}
	return out
}
