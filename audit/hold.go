package audit

import (
	"context"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Hold keeps the events of an organization from a time on, whatever its retention says, for as long as something needs
// them: such as a compliance report that is not finished. Who makes it writes it in the unit of its own change, and
// deletes it again. A legal hold is no such record but part of the [Config].
type Hold struct {
	store.Meta
	OrgID  string     `json:"organization_id"`
	From   time.Time  `json:"from"`   // what was recorded at that time or later is not pruned
	Reason string     `json:"reason"` // for whom: "report rep_1"
	Until  *time.Time `json:"until"`  // when it ends by itself; nil: only when it is deleted
}

// Holds are those of all organizations.
var Holds = store.Define[Hold]("audit_holds", "hold", store.Index("org_id", "created_at"))

// AuditResource is how the log names the hold.
func (h Hold) AuditResource() Resource { return Resource{Type: "audit_hold", ID: h.ID} }

// KeptFrom is the time from which the events of an organization are kept: the earliest of what its configuration says
// and of its holds.
func KeptFrom(ctx context.Context, tx *store.Tx, c Config) (time.Time, error) {
	from := c.KeptFrom(tx.Now())
	for h, err := range Holds.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", c.ID)}}) {
		if err != nil {
			return from, err
		}
		if h.Until == nil || tx.Now().Before(*h.Until) {
			from = earliest(from, h.From)
		}
	}
	return from, nil
}
