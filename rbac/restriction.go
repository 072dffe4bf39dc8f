package rbac

import (
	"github.com/orgkit/orgkit/store"
)

// Restriction is what a team's settings forbid, in the form that decisions understand. Its id is
// the team's, and the floor above writes it in the unit that writes the settings.
type Restriction struct {
	store.Meta
	OrgID           string   `json:"organization_id"`
	State           State    `json:"state"`            // of the team: Active or Archived
	Allowed         []string `json:"allowed"`          // globs of model ids; meaningful when Limited
	Limited         bool     `json:"limited"`          // false: every model is allowed
	Blocked         []string `json:"blocked"`          // globs; wins over all else
	RequireApproval []string `json:"require_approval"` // globs; allowed once approved (F320)
	FeaturesOff     []string `json:"features_off"`     // names of features that are refused
}

// Restrictions holds one record per team. Only the floor above writes it, inside [Guard.Change].
var Restrictions = store.Define[Restriction]("restrictions", "team",
	store.Index("org_id"))

// rules compiles the settings to statements, so that one engine decides and explains everything.
func (r Restriction) rules() []Rule {
	deny := func(part, code string, st Statement) Rule {
		st.Effect = EffectDeny
		return Rule{ID: r.ID + "/" + part, Pool: PoolSettings, Source: "team settings, " + part, Team: r.ID, Code: code, Statement: st}
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
	return rules
}

func models(globs []string) []string {
	out := make([]string, len(globs))
	for i, g := range globs {
		out[i] = ModelPattern(g)
	}
	return out
}
