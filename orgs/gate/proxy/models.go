package proxy

import (
	"encoding/json"
	"net/http"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
)

// listed is a model as OpenAI's API shows it.
type listed struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func listedOf(m *billing.Model) listed {
	owner := m.Provider
	if owner == "" {
		owner = "organization"
	}
	return listed{ID: m.ID, Object: "model", OwnedBy: owner}
}

// models lists what the key may use, or shows one of them by its id or alias.
func (h *handler) models(w http.ResponseWriter, r *http.Request, one string) {
	var call gate.Call
	h.calling(r.Context(), &call, r)
	all, err := h.gate.Models(r.Context(), call)
	if err != nil {
		h.refuse(w, r, nil, err)
		return
	}
	list := make([]listed, len(all))
	for i := range all {
		list[i] = listedOf(&all[i])
		if one == "" {
			continue
		}
		for _, name := range append([]string{all[i].ID}, all[i].Aliases...) {
			if name == one {
				write(w, list[i])
				return
			}
		}
	}
	if one != "" {
		h.refuse(w, r, nil, errNotServed)
		return
	}
	write(w, map[string]any{"object": "list", "data": list})
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a client that is gone hears nothing
}
