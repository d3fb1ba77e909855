package core

import (
	"context"
	"time"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/flow"
)

// besides is what the holder's other grants have to do with an order, because
// they give or take back the same.
type besides struct {
	keeper RequestID   // gave what the order takes back, and still holds; 0: none did
	until  time.Time   // may be taking back what the order gives until then
	byHand []access.ID // people are to take back what the order gives
}

// beside looks at the holder's other grants for an order of this grant that is
// about to be carried out. It locks the holder, so that of two grants that give
// and take back the same at once one sees what the other began. Only what was
// begun keeps anything: what wasn't is given anew, and taken back only then.
func beside(ctx context.Context, tx Tx, g access.Grant, order Order) (besides, error) {
	var out besides
	if err := tx.LockPerson(ctx, g.Holder); err != nil {
		return out, err
	}
	grants, err := tx.LiveGrants(ctx, g.Holder)
	if err != nil {
		return out, err
	}
	for _, other := range grants {
		if other.ID == g.ID || other.Stopping() == g.Stopping() {
			continue
		}
		for _, w := range other.Works() {
			if w.Action.Kind != order.Action.Kind || !g.Stopping() && w.State == access.WorkDone || g.Stopping() && !w.Begun() {
				continue
			}
			opposite, err := opposes(ctx, tx, order, other, w)
			switch {
			case err != nil:
				return out, err
			case !opposite:
			case g.Stopping():
				out.keeper = RequestID(other.ID)
				return out, nil
			case w.State != access.WorkWaiting:
				out.byHand = append(out.byHand, other.ID)
			case w.Calling.After(out.until):
				out.until = w.Calling
			}
		}
	}
	return out, nil
}

// opposes reports whether of the order and another grant's action one takes back
// what the other gives. A group is the same for whatever level it is given; a
// hook and people are told the level, and do something else for each.
func opposes(ctx context.Context, r Reader, order Order, g access.Grant, w access.Work) (bool, error) {
	told := order.Action.Kind == flow.ActionWebhook || order.Action.Kind == flow.ActionTask
	if told && (order.Resource != g.Resource || order.Level != g.Level) {
		return false, nil
	}
	request, err := r.Request(ctx, RequestID(g.ID))
	if err != nil {
		return false, err
	}
	other, err := orderFor(ctx, r, request, w.Action)
	if g.Stopping() {
		return access.Undoes(other.Action, order.Action), err
	}
	return access.Undoes(order.Action, other.Action), err
}
