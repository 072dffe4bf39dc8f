package audit

import (
	"context"
	"slices"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Delivery is how far the log of an organization has got to a destination, and whether that takes what is sent. It is
// beside [Config], which people write, as it changes with each delivery.
type Delivery struct {
	store.Meta        // its id is that of the destination
	OrgID      string `json:"org_id"`
	Type       string `json:"type"`  // of the destination
	Next       int64  `json:"next"`  // the sequence of the first event that was not delivered
	Until      int64  `json:"until"` // what is being sent ends before it, until it was taken; up to Next: nothing is

	Status    Status     `json:"status"`
	Reason    string     `json:"status_reason"`
	CheckedAt *time.Time `json:"checked_at"` // when it was tried last
	SentAt    *time.Time `json:"sent_at"`    // when it took events last
	Failures  int64      `json:"failures"`   // in a row, since it took something
	RetryAt   *time.Time `json:"retry_at"`   // before then nothing is sent; nil is at once
}

// AuditResource is how the log names the destination.
func (d Delivery) AuditResource() Resource { return Resource{Type: "audit_destination", ID: d.ID} }

// Status says whether a destination takes what is sent.
type Status string

// The statuses of destinations.
const (
	Unverified Status = "unverified" // nobody has tried since it was changed
	Working    Status = "ok"
	Failing    Status = "failing"
)

// Deliveries are those of the destinations that there are.
var Deliveries = store.Define[Delivery]("audit_deliveries", "dst", store.Index("org_id"))

// DeliveriesOf are those of an organization: a few.
func DeliveriesOf(ctx context.Context, tx *store.Tx, orgID string) (list []Delivery, err error) {
	for d, err := range Deliveries.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}}) {
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

// Start is the sequence with which the delivery to a new destination begins: a bucket gets all that is in the log, so
// that it holds the whole of it; a stream of events begins about where the log is now.
func (l *Log) Start(ctx context.Context, tx *store.Tx, orgID string, d Destination) (int64, error) {
	if d.Type == S3 {
		cut, err := lastPrune(ctx, tx, orgID)
		return cut.First, err
	}
	head, err := l.head(ctx, tx, orgID)
	return head.size, err
}

// Lag is what a destination has not got.
type Lag struct {
	Delivery
	Events int64     // how many
	Since  time.Time // the time of the first of them; zero for none
}

// Lags are those of all destinations. Events that were committed before are counted. It reads two rows for each, some
// hundred in one round trip.
func (l *Log) Lags(ctx context.Context) (list []Lag, err error) {
	if err := l.catchUp(ctx); err != nil {
		return nil, err
	}
	err = l.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		list = nil
		for d, err := range Deliveries.All(ctx, tx, store.Query{}) {
			if err != nil {
				return err
			}
			list = append(list, Lag{Delivery: d})
		}
		for some := range slices.Chunk(list, lagsAtOnce) {
			if err := measure(ctx, tx, some); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

const lagsAtOnce = 500

func measure(ctx context.Context, tx *store.Tx, list []Lag) error {
	orgIDs := make([]string, len(list))
	for i := range list {
		orgIDs[i] = list[i].OrgID
	}
	last, err := newest(ctx, tx, events, orgIDs...)
	if err != nil {
		return err
	}
	var behind []*Lag
	var first []place
	for i := range list {
		if d := &list[i]; len(last[i]) > 0 && last[i][0].Seq >= d.Next {
			d.Events, d.Since = last[i][0].Seq+1-d.Next, last[i][0].At
			behind = append(behind, d)
			first = append(first, place{d.OrgID, d.Next >> blockLevel})
		}
	}
	found, err := eventsOf(ctx, tx, first)
	if err != nil {
		return err
	}
	for i, d := range behind {
		if at := slices.IndexFunc(found[i], func(k kept) bool { return k.Seq == d.Next }); at >= 0 { // else it is pruned
			d.Since = found[i][at].At
		}
	}
	return nil
}

// The kinds of the jobs by which destinations are served. They have the organization, and [DeliveryJob] as what they
// need to know.
const (
	ProbeJob  = "audit.probe"  // tries whether a destination takes what is sent
	ExportJob = "audit.export" // sends what was not sent
	ResendJob = "audit.resend" // sends one event again that was refused, behind others
)

// DeliveryJob is what a job for a destination needs to know.
type DeliveryJob struct {
	Destination string `json:"destination"`
	Sequence    int64  `json:"sequence,omitempty"` // of the event of a [ResendJob]
}

// The types of the events about destinations. All are mandatory.
const (
	DeliveryFailingType   = "audit.delivery_failing"   // it does not take what is sent
	DeliveryRecoveredType = "audit.delivery_recovered" // it does again
	DeliveryRetriedType   = "audit.delivery_retried"   // somebody has asked to try it now
	ExportGapType         = "audit.export_gap"         // it refuses an event, which is left out
)
