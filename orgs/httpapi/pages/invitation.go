package pages

import "net/http"

// invitation lets somebody answer an invitation that they have the token of, as who they are signed in as.
func (v *visit) invitation() {
	v.Title = "Invitation"
	v.Token = v.r.PathValue("token")
	if v.Token == "" {
		v.Token = v.r.PostForm.Get("token")
	}
	if v.Token == "" {
		v.Step, v.Scripted = stepToken, true
		return
	}
	if !v.entered() {
		return
	}
	do := v.r.PostForm.Get("do")
	if do != "accept" && do != "decline" {
		v.Step = stepAnswer
		return
	}
	a := v.ask("POST", "/v1/invitations/accept", map[string]any{"token": v.Token, "accept": do == "accept"})
	switch {
	case a.ok() && do == "accept":
		v.Said = "Welcome: you are a member now."
	case a.ok():
		v.Said = "The invitation is declined."
	default:
		v.failed(a)
		if a.status == http.StatusNotFound {
			v.Fault = "There is no such invitation."
		}
	}
}

// password lets who has the token of a link set a new password.
func (v *visit) password() {
	v.Title, v.Step, v.Scripted = "New password", stepPassword, true
	if v.r.Method != http.MethodPost {
		return
	}
	v.Token = v.r.PostForm.Get("token")
	a := v.ask("POST", "/v1/password-resets/confirm", map[string]any{"token": v.Token, "password": v.r.PostForm.Get("password")})
	if a.ok() {
		v.Step, v.Said = stepNothing, "The password is changed. Everybody who was signed in as you has to sign in again."
		return
	}
	v.status, v.Fault = a.status, a.text("detail")
}
