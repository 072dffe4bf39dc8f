package pages

import "net/url"

// approval shows a request for an approval to who may see it, and has it decided by who may. The link alone does neither.
func (v *visit) approval() {
	v.Title = "Request for an approval"
	if !v.entered() {
		return
	}
	path := "/v1/approvals/" + url.PathEscape(v.r.PathValue("approval"))
	if do := v.r.PostForm.Get("do"); do == "approve" || do == "deny" {
		a := v.ask("POST", path+"/decision", map[string]any{"decision": do, "reason": v.r.PostForm.Get("reason")})
		if !a.ok() {
			v.failed(a)
			if v.Step != stepNothing {
				return
			}
		}
	}
	a := v.ask("GET", path, nil)
	if !a.ok() {
		v.failed(a)
		return
	}
	requester := a.text("requester")
	if m := v.ask("GET", "/v1/organizations/"+url.PathEscape(a.text("organization_id"))+"/members/"+url.PathEscape(requester), nil); m.text("email") != "" {
		requester = m.text("email")
	}
	for _, f := range []fact{{"Requested by", requester}, {"Action", a.text("action")}, {"Resource", a.text("resource")},
		{"Reason", a.text("reason")}, {"Status", a.text("status")}, {"Until", a.text("expires_at")}} {
		if f.Value != "" {
			v.Facts = append(v.Facts, f)
		}
	}
	if a.text("status") == "pending" {
		v.Step = stepDecide
	} else if v.Fault == "" {
		v.Said = "This request is " + a.text("status") + "."
	}
}
