package litellm

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// metricsRow is what calls come to.
type metricsRow struct {
	Spend        usd   `json:"spend"`
	Prompt       int64 `json:"prompt_tokens"`
	Completion   int64 `json:"completion_tokens"`
	CacheRead    int64 `json:"cache_read_input_tokens"`
	CacheCreated int64 `json:"cache_creation_input_tokens"`
	Tokens       int64 `json:"total_tokens"`
	Successful   int64 `json:"successful_requests"`
	Failed       int64 `json:"failed_requests"`
	Requests     int64 `json:"api_requests"`
}

func (m *metricsRow) add(t billing.Totals) {
	m.Spend = usd(decimal.Decimal(m.Spend).Add(t.Cost))
	m.Prompt, m.Completion, m.CacheRead = m.Prompt+t.InputTokens, m.Completion+t.OutputTokens, m.CacheRead+t.CachedTokens
	m.Tokens, m.Requests, m.Failed, m.Successful = m.Tokens+t.Tokens, m.Requests+t.Requests, m.Failed+t.Errors, m.Successful+t.Requests-t.Errors
}

// partRow is a part of a day.
type partRow struct {
	Metrics  metricsRow        `json:"metrics"`
	Metadata map[string]string `json:"metadata"`
}

// breakdownRow is a day in parts. What is not told apart here is empty.
type breakdownRow struct {
	MCPServers  map[string]*partRow `json:"mcp_servers"`
	Models      map[string]*partRow `json:"models"`
	ModelGroups map[string]*partRow `json:"model_groups"`
	Providers   map[string]*partRow `json:"providers"`
	Endpoints   map[string]*partRow `json:"endpoints"`
	Keys        map[string]*partRow `json:"api_keys"`
	Entities    map[string]*partRow `json:"entities"` // organizations
}

type dayRow struct {
	Date      string       `json:"date"`
	Metrics   metricsRow   `json:"metrics"`
	Breakdown breakdownRow `json:"breakdown"`
}

type activityRow struct {
	Results  []*dayRow           `json:"results"`
	Metadata activityMetadataRow `json:"metadata"`
}

type activityMetadataRow struct {
	Spend      usd   `json:"total_spend"`
	Prompt     int64 `json:"total_prompt_tokens"`
	Completion int64 `json:"total_completion_tokens"`
	Tokens     int64 `json:"total_tokens"`
	Requests   int64 `json:"total_api_requests"`
	Successful int64 `json:"total_successful_requests"`
	Failed     int64 `json:"total_failed_requests"`
	Page       int64 `json:"page"`
	Pages      int64 `json:"total_pages"`
	More       bool  `json:"has_more"`
}

// maxActivity is of how many organizations activity is summed up at once.
const maxActivity = 100

// dailyActivity is GET /organization/daily/activity: of the organizations that are named, or of one's own; of each day, in pages of
// days, the newest first.
func (c *call) dailyActivity() (any, error) {
	page, size := c.in.count("page"), c.in.count("page_size")
	period := billing.Period{Start: c.in.text("start_date").v, End: c.in.text("end_date").v}
	q := orgs.AnalyticsQuery{Period: period}
	if model := c.in.text("model").v; model != "" {
		q.Models = []string{model}
	}
	for name, n := range map[string]*value[int64]{"page": &page, "page_size": &size} {
		if n.some() && (n.v < 1 || n.v > 1000) {
			c.in.fault("int_parsing", "Input should be from 1 to 1000", name)
		}
	}
	if err := c.in.err(); err != nil {
		return nil, err
	}
	if err := c.unsupported("api_key"); err != nil {
		return nil, err
	}
	if period.Start == "" || period.End == "" {
		return nil, detail(http.StatusBadRequest, "Please provide start_date and end_date")
	}
	list, err := c.activeOrganizations()
	if err != nil {
		return nil, err
	}
	days, total := map[string]*dayRow{}, metricsRow{}
	for _, o := range list {
		of, err := c.svc.DailyUsage(c.ctx(), o.ID, q)
		if err != nil {
			return nil, err
		}
		keys, err := c.hashes(o.ID, of)
		if err != nil {
			return nil, err
		}
		for _, day := range of {
			if days[day.Date] == nil {
				days[day.Date] = newDay(day.Date)
			}
			days[day.Date].take(o, day, keys)
			total.add(day.Totals)
		}
	}
	if !page.some() {
		page.v = 1
	}
	if !size.some() {
		size.v = 10
	}
	dates := slices.Sorted(maps.Keys(days))
	slices.Reverse(dates)
	pages := (int64(len(dates)) + size.v - 1) / size.v
	row := activityRow{Results: []*dayRow{}, Metadata: activityMetadataRow{total.Spend, total.Prompt, total.Completion, total.Tokens, total.Requests, total.Successful, total.Failed, page.v, pages, page.v < pages}}
	for i := (page.v - 1) * size.v; i < min(page.v*size.v, int64(len(dates))); i++ {
		row.Results = append(row.Results, days[dates[i]])
	}
	return row, nil
}

// activeOrganizations are those whose activity is asked for: each of them the caller has to be an administrator of.
func (c *call) activeOrganizations() (list []orgs.Organization, err error) {
	ids := func(name string) (ids []string) {
		for id := range strings.SplitSeq(c.in.text(name).v, ",") {
			if id = strings.TrimSpace(id); id != "" {
				ids = append(ids, id)
			}
		}
		return ids
	}
	named, without := ids("organization_ids"), ids("exclude_organization_ids")
	for _, id := range named {
		o, err := c.organization(c.ctx(), id)
		var denied *rbac.Denied
		switch {
		case (errors.Is(err, store.ErrNotFound) || errors.As(err, &denied) || err == nil && !c.ruling(o.ID)) && !c.admin():
			return nil, detail(http.StatusForbidden, "User is not org_admin for Organization= "+plain(id)+".")
		case err != nil:
			return nil, as(err, store.ErrNotFound, unknownOrganization(http.StatusNotFound, id))
		}
		list = append(list, o)
	}
	for after := ""; len(named) == 0; {
		page, err := c.svc.Organizations(c.ctx(), orgs.OrganizationFilter{After: after, Limit: 100})
		if err != nil {
			return nil, err
		}
		for _, o := range page.Items {
			if c.admin() || c.ruling(o.ID) {
				list = append(list, o)
			}
		}
		if after = page.Next; after == "" || len(list) > maxActivity {
			break
		}
	}
	list = slices.DeleteFunc(list, func(o orgs.Organization) bool { return o.DeletedAt != nil || slices.ContainsFunc(without, o.Known) })
	slices.SortFunc(list, func(a, b orgs.Organization) int { return strings.Compare(a.ID, b.ID) })
	list = slices.CompactFunc(list, func(a, b orgs.Organization) bool { return a.ID == b.ID })
	if len(list) > maxActivity {
		return nil, detail(http.StatusBadRequest, "at most 100 organizations at once: name them in organization_ids")
	}
	return list, nil
}

// hashes are what keys are called here, by their ids.
func (c *call) hashes(orgID string, days []orgs.DayOfUsage) (map[string]orgs.APIKey, error) {
	known := map[string]orgs.APIKey{}
	for _, day := range days {
		for _, share := range day.Keys {
			if _, is := known[share.Value]; is || share.Value == "" {
				continue
			}
			k, err := c.svc.APIKey(c.ctx(), share.Value)
			if err != nil && !errors.Is(err, store.ErrNotFound) { // gone with its organization's team, or of another system
				return nil, err
			}
			known[share.Value] = k
		}
	}
	return known, nil
}

func newDay(date string) *dayRow {
	return &dayRow{Date: date, Breakdown: breakdownRow{map[string]*partRow{}, map[string]*partRow{}, map[string]*partRow{}, map[string]*partRow{}, map[string]*partRow{}, map[string]*partRow{}, map[string]*partRow{}}}
}

func (d *dayRow) take(o orgs.Organization, day orgs.DayOfUsage, keys map[string]orgs.APIKey) {
	add := func(to map[string]*partRow, name string, t billing.Totals, metadata map[string]string) {
		if to[name] == nil {
			to[name] = &partRow{Metadata: metadata}
		}
		to[name].Metrics.add(t)
	}
	d.Metrics.add(day.Totals)
	add(d.Breakdown.Entities, o.PublicID(), day.Totals, map[string]string{"organization_alias": o.Name})
	for _, m := range day.Models {
		add(d.Breakdown.Models, m.Value, m.Totals, map[string]string{})
	}
	for _, share := range day.Keys {
		if k := keys[share.Value]; k.Hash != "" {
			add(d.Breakdown.Keys, k.Hash, share.Totals, map[string]string{"key_alias": k.Name})
		}
	}
}
