package opengatellm

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

// Dialect is what keys that are made here say of the dialect that has made them.
const Dialect = "opengatellm"

// Refusals write why a call in front of models is refused as clients of OpenGateLLM know it: it is one of the
// proxy.Options.Refusals. Of the options the Generation counts.
func Refusals(o *Options) func(http.ResponseWriter, *http.Request, httpapi.Problem, *gate.Denied) {
	a := &api{badKey: http.StatusForbidden}
	if o != nil {
		a.opt = *o
	}
	if a.opt.Generation == GenerationC {
		a.badKey = http.StatusUnauthorized
	}
	return func(w http.ResponseWriter, r *http.Request, p httpapi.Problem, d *gate.Denied) {
		if limited := (*billing.Limited)(nil); d != nil && errors.As(d, &limited) {
			if text := a.overRate(limited); text != "" {
				p.Detail = text
			}
		}
		switch p.Code {
		case "unsupported_model":
			httpapi.WriteJSON(w, http.StatusNotFound, detailView{"Model not found."})
		case "missing_tags":
			httpapi.WriteJSON(w, http.StatusBadRequest, detailView{p.Detail})
		case "model_not_allowed", "object_not_allowed", "feature_disabled", "approval_required", "approval_denied", "cost_limit_exceeded", "policy_denied":
			httpapi.WriteJSON(w, http.StatusForbidden, detailView{"Insufficient permissions to access the model."})
		default:
			a.render(w, r, p)
		}
	}
}

// overRate says which limit is used up as that system does, "" for those that it does not have.
func (a *api) overRate(l *billing.Limited) string {
	what, per, known := strings.Cut(string(l.Measure), "_per_")
	if !known || per == "hour" {
		return ""
	}
	if a.opt.Generation == GenerationC {
		noun := "Token"
		if what == "requests" {
			noun = "Request"
		}
		return fmt.Sprintf("%s limit per %s exceeded.", noun, per)
	}
	return fmt.Sprintf("%d %s per %s exceeded (remaining: %d).", l.Limit, strings.ReplaceAll(what, "_", " "), per, l.Remaining)
}
