package audit

import (
	"context"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Delivery is how far the log of an organization has got to a destination, and whether that takes what is sent. It is
// beside [Config], which people write, as it changes with each delivery.
type Delivery struct {
	store.Meta        // its id is that of the destination
	OrgID      string `json:"org_id"`
	Next       int64  `json:"next"` // the sequence of the first event that was not delivered

	Status    Status     `json:"status"`
	Reason    string     `json:"status_reason"`
	CheckedAt *time.Time `json:"checked_at"` // when it was tried last
	SentAt    *time.Time `json:"sent_at"`    // when it took events last
	Failures  int64      `json:"failures"`   // in a row, since it took something
}

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

// The kinds of the jobs by which destinations are served. They have the organization, and [DeliveryJob] as what they
// need to know.
const (
	ProbeJob  = "audit.probe"  // tries whether a destination takes what is sent
	ExportJob = "audit.export" // sends what was not sent
)

// DeliveryJob is what a job for a destination needs to know.
type DeliveryJob struct {
	Destination string `json:"destination"`
}
