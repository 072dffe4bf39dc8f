package rbac

import "strings"

// trace names overrides and what was taken from members, which are no rules of their own, where a decision comes
// from them.
func (st standing) trace(d *Decision, team, action string) {
	for i := range d.Reasons {
		r := &d.Reasons[i]
		switch Pool(r.Kind) {
		case PoolRole:
			r.ID, _, _ = strings.Cut(r.ID, "[") // the place of the grant among others
			st.added(r, team, action)
		case PoolMember:
			r.ID, _, _ = strings.Cut(r.ID, "[")
		}
	}
	if _, isKey := st.key(); !isKey && len(d.Reasons) == 1 && d.Reasons[0].Kind == "none" && d.MissingPermission == action && d.Alarm == nil {
		st.taken(d, team, action)
	}
}

// added names the override that gives an action to a role.
func (st standing) added(r *Reason, team, action string) {
	role, over := st.snap.role(r.ID), st.snap.layers[0].overrides[[2]string{team, r.ID}]
	if gives(role.Permissions, action) || !gives(over.add, action) {
		return
	}
	r.Kind, r.ID = "override", over.id
	r.Text = strings.Replace(r.Text, "by role ("+role.Slug+")", "by override (of "+role.Slug+")", 1)
}

// taken names who takes an action that a role would give.
func (st standing) taken(d *Decision, team, action string) {
	because := func(kind, id, text, remedy string) {
		d.Reasons, d.Remedy = []Reason{{Kind: kind, ID: id, Text: text}}, []string{remedy}
	}
	given := false
	for _, s := range st.held {
		if s.teamID != "" && s.teamID != team {
			continue
		}
		role, over := st.snap.role(s.roleID), meaning{}
		if s.level == 0 {
			over = st.snap.layers[0].overrides[[2]string{team, s.roleID}]
		}
		switch {
		case !gives(role.Permissions, action) && !gives(over.add, action) && !gives(s.add, action):
		case !s.active:
			because("member", "", "the membership is suspended, which would give "+action, "have the membership resumed")
			return
		case gives(over.remove, action):
			because("override", over.id, "taken from role "+role.Slug+" by its override here", "have the override of "+role.Slug+" changed")
			return
		default:
			given = true
		}
	}
	for _, s := range st.held {
		if given && (s.teamID == "" || s.teamID == team) && gives(s.remove, action) {
			because("member", "", "taken from the member", "have it given back to the member")
			return
		}
	}
}

// gives says whether one of the permissions gives an action, or gives it for one's own.
func gives(permissions []string, action string) bool {
	for _, text := range permissions {
		if p, err := ParsePermission(text); err == nil && p.Covers(action) {
			return true
		}
	}
	return false
}
