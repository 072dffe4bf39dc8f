package locktera

import (
	"net/http"

	"github.com/orgkit/orgkit/orgs/httpapi"
)

// tagView is a tag. One that the organization has itself is as old as that.
type tagView struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	CreatedAt string `json:"created_at"`
}

// tags lists those of the organization, and then those of calls as name:value.
func (a *api) tags(_ http.ResponseWriter, r *http.Request, at place) (answer, error) {
	o, err := a.Organization(r.Context(), at.id)
	if err != nil {
		return answer{}, err
	}
	list := []tagView{}
	for _, tag := range o.Tags {
		list = append(list, tagView{tag, tag, httpapi.Stamp(o.CreatedAt)})
	}
	for after := ""; len(list) < a.opt.LogCap; {
		page, err := a.UsageTags(r.Context(), at.id, 200, after)
		if err != nil {
			return answer{}, err
		}
		for _, t := range page.Items {
			name := t.Name + ":" + t.Value
			list = append(list, tagView{name, name, httpapi.Stamp(t.At)})
		}
		if after = page.Next; after == "" {
			break
		}
	}
	list = list[:min(len(list), a.opt.LogCap)]
	names := []string{}
	for _, t := range list {
		names = append(names, t.Name)
	}
	return a.spec(http.StatusOK, names, ok(list)), nil
}
