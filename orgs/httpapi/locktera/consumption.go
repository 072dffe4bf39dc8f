package locktera

import (
	"encoding/json"
	"net/http"

	"github.com/orgkit/orgkit/billing"
)

// totalsView is what calls came to.
type totalsView struct {
	APICalls    int64       `json:"api_calls"`
	TotalTokens int64       `json:"total_tokens"`
	Cost        json.Number `json:"cost"`
}

func totals(t billing.Totals) totalsView {
	return totalsView{t.Requests, t.Tokens, json.Number(t.Cost.String())}
}

// consumptionView is what an organization and all below it have used in a month.
type consumptionView struct {
	OrgID       string      `json:"org_id"`
	Month       string      `json:"month"`
	StorageUsed json.Number `json:"storage_used"` // GB
	totalsView
	Currency    string     `json:"currency"`
	ActiveUsers int64      `json:"active_users"`
	Direct      totalsView `json:"direct"` // of the organization alone
}

func (a *api) consumption(_ http.ResponseWriter, r *http.Request, at place) (answer, error) {
	q, err := query(r)
	if err != nil {
		return answer{}, err
	}
	c, err := a.Consumption(r.Context(), at.id, q.Get("month"))
	return ok(consumptionView{OrgID: at.id, Month: c.From.Format("2006-01"), StorageUsed: json.Number(c.Stored.String()), totalsView: totals(c.Totals),
		Currency: "USD", ActiveUsers: c.ActiveUsers, Direct: totals(c.Direct)}), err
}
