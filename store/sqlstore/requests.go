package sqlstore

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

type requestRow struct {
	ID         int64 `gorm:"primaryKey;autoIncrement"`
	Key        string
	Type       string
	Title      string
	Team       string
	Requester  string
	Creator    string
	Assignee   string
	Resource   string
	Access     string
	Followers  string
	Pending    bool
	Unassigned bool
	Flow       string
	Run        string
	Version    int64
	ChainSeq   int64
	ChainHash  string
	Created    time.Time `gorm:"column:created_at"`
	Updated    time.Time `gorm:"column:updated_at"`
}

func (requestRow) TableName() string { return "requests" }

func (r requestRow) request() (core.Request, error) {
	out := core.Request{
		ID: core.RequestID(r.ID), Key: r.Key, Type: r.Type, Title: r.Title, Team: r.Team,
		Requester: people.ID(r.Requester), Creator: people.ID(r.Creator), Assignee: people.ID(r.Assignee),
		Version: r.Version, Chain: audit.Head{Seq: r.ChainSeq, Hash: r.ChainHash},
		Created: r.Created.UTC(), Updated: r.Updated.UTC(),
	}
	for _, part := range []struct {
		name, text string
		into       any
	}{
		{"run", r.Run, &out.Run}, {"flow", r.Flow, &out.Run.Flow},
		{"access", r.Access, &out.Access}, {"followers", r.Followers, &out.Followers},
	} {
		if err := json.Unmarshal([]byte(part.text), part.into); err != nil {
			return out, wrap(err, "read "+part.name+" of "+out.ID.String())
		}
	}
	return out, nil
}

func requests(rows []requestRow) ([]core.Request, error) {
	found := make([]core.Request, len(rows))
	for i, row := range rows {
		var err error
		if found[i], err = row.request(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (r reader) Request(ctx context.Context, id core.RequestID) (core.Request, error) {
	return take(r.with(ctx).Where("id = ?", int64(id)))
}

func (r reader) Requests(ctx context.Context, ids []core.RequestID) (map[core.RequestID]core.Request, error) {
	found := make(map[core.RequestID]core.Request, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	var rows []requestRow
	if err := r.with(ctx).Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, wrap(err, "read requests")
	}
	list, err := requests(rows)
	for _, request := range list {
		found[request.ID] = request
	}
	return found, err
}

func (r reader) RequestByKey(ctx context.Context, key string) (core.Request, error) {
	return take(r.with(ctx).Where("key = ?", key))
}

func take(q *gorm.DB) (core.Request, error) {
	var row requestRow
	if err := missing(q.Take(&row).Error, "request"); err != nil {
		return core.Request{}, err
	}
	return row.request()
}

func (r reader) RequestsOf(ctx context.Context, requester people.ID, ended bool, p core.Place) ([]core.Request, error) {
	return listed(r.with(ctx).Where("requester = ?", string(requester)).Where(lifecycle(ended)), "requests.id", p)
}

func (r reader) OpenAsks(ctx context.Context, requester people.ID) ([]core.Request, error) {
	var rows []requestRow
	err := r.with(ctx).Where("requester = ? AND pending AND resource <> ''", string(requester)).Order("id DESC").Find(&rows).Error
	if err != nil {
		return nil, wrap(err, "list requests")
	}
	return requests(rows)
}

// lifecycle is written as the indexes' conditions are.
func lifecycle(ended bool) string {
	if ended {
		return "NOT pending"
	}
	return "pending"
}

// listed reads one page of a list.
func listed(q *gorm.DB, id string, p core.Place) ([]core.Request, error) {
	if p.Below > 0 {
		q = q.Where(id+" < ?", int64(p.Below))
	}
	var rows []requestRow
	if err := q.Order(id + " DESC").Limit(p.Limit).Find(&rows).Error; err != nil {
		return nil, wrap(err, "list requests")
	}
	return requests(rows)
}

func (r reader) Awaiting(ctx context.Context, person people.ID, kinds []flow.Kind, p core.Place) ([]core.Request, error) {
	q := r.with(ctx).Joins("JOIN asked ON asked.request = requests.id").Where("asked.person = ?", string(person))
	if len(kinds) > 0 {
		q = q.Where("asked.kind IN ?", kinds)
	}
	return listed(q, "asked.request", p)
}

func (r reader) FollowedBy(ctx context.Context, follower people.ID, p core.Place) ([]core.Request, error) {
	q := r.with(ctx).Joins("JOIN followers ON followers.request = requests.id").Where("followers.person = ?", string(follower))
	return listed(q, "followers.request", p)
}

func (r reader) AssignedTo(ctx context.Context, assignee people.ID, p core.Place) ([]core.Request, error) {
	return listed(r.with(ctx).Where("assignee = ? AND pending", string(assignee)), "requests.id", p)
}

func (r reader) TeamRequests(ctx context.Context, want core.TeamQuery, p core.Place) ([]core.Request, error) {
	q := r.with(ctx).Where("team = ?", want.Team)
	switch {
	case want.Unassigned:
		q = q.Where("unassigned")
	default:
		q = q.Where(lifecycle(want.Ended))
	}
	if want.Assignee != "" {
		q = q.Where("assignee = ?", string(want.Assignee))
	}
	return listed(q, "requests.id", p)
}

func (t *tx) LockRequest(ctx context.Context, id core.RequestID) (core.Request, error) {
	return take(t.with(ctx).Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("id = ?", int64(id)))
}

func (t *tx) InsertRequest(ctx context.Context, r *core.Request) error {
	row := requestRow{
		Key: r.Key, Type: r.Type, Title: r.Title, Team: r.Team,
		Requester: string(r.Requester), Creator: string(r.Creator), Assignee: string(r.Assignee),
		Pending: r.Run.State == flow.Pending, Unassigned: r.Unassigned(), Version: 1,
		ChainSeq: r.Chain.Seq, ChainHash: r.Chain.Hash, Created: r.Created, Updated: r.Updated,
	}
	if r.Access != nil {
		row.Resource = r.Access.Resource
	}
	for _, part := range []struct {
		into *string
		from any
	}{{&row.Run, r.Run}, {&row.Flow, r.Run.Flow}, {&row.Access, r.Access}, {&row.Followers, r.Followers}} {
		text, err := json.Marshal(part.from)
		if err != nil {
			return wrap(err, "write request")
		}
		*part.into = string(text)
	}
	created := t.with(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&row)
	if created.Error != nil {
		return wrap(created.Error, "insert request")
	}
	if created.RowsAffected == 0 {
		return errs.New(errs.Conflict, "This form was submitted before.")
	}
	r.ID, r.Version = core.RequestID(row.ID), 1
	if len(r.Followers) == 0 {
		return nil
	}
	return wrap(t.with(ctx).Create(followerRows(r.ID, r.Followers)).Error, "save followers")
}

func (t *tx) SaveRequest(ctx context.Context, r *core.Request) error {
	run, err := json.Marshal(r.Run)
	if err != nil {
		return wrap(err, "write run")
	}
	saved := t.with(ctx).Model(&requestRow{}).Where("id = ? AND version = ?", int64(r.ID), r.Version).
		Updates(map[string]any{
			"title": r.Title, "assignee": string(r.Assignee), "pending": r.Run.State == flow.Pending, "unassigned": r.Unassigned(), "run": string(run),
			"version": r.Version + 1, "chain_seq": r.Chain.Seq, "chain_hash": r.Chain.Hash, "updated_at": r.Updated,
		})
	if saved.Error != nil {
		return wrap(saved.Error, "save "+r.ID.String())
	}
	if saved.RowsAffected == 0 {
		return errs.New(errs.Conflict, "%s was changed in the meantime.", r.ID)
	}
	r.Version++
	return nil
}

type followerRow struct {
	Person  string `gorm:"primaryKey"`
	Request int64  `gorm:"primaryKey"`
}

func (followerRow) TableName() string { return "followers" }

func (t *tx) SetFollowers(ctx context.Context, id core.RequestID, followers []people.ID) error {
	text, err := json.Marshal(followers)
	if err != nil {
		return wrap(err, "write followers")
	}
	if err := t.with(ctx).Model(&requestRow{}).Where("id = ?", int64(id)).Update("followers", string(text)).Error; err != nil {
		return wrap(err, "save followers")
	}
	return replace(ctx, t, followerRows(id, followers), "save followers", "request = ?", int64(id))
}

func followerRows(id core.RequestID, followers []people.ID) []followerRow {
	rows := make([]followerRow, len(followers))
	for i, f := range followers {
		rows[i] = followerRow{Person: string(f), Request: int64(id)}
	}
	return rows
}

type askedRow struct {
	Request int64  `gorm:"primaryKey"`
	Step    string `gorm:"primaryKey"`
	Person  string `gorm:"primaryKey"`
	Kind    string
}

func (askedRow) TableName() string { return "asked" }

func (t *tx) SetAsked(ctx context.Context, id core.RequestID, asked []core.Asked) error {
	rows := make([]askedRow, len(asked))
	for i, a := range asked {
		rows[i] = askedRow{Request: int64(id), Step: a.Step, Person: string(a.Person), Kind: string(a.Kind)}
	}
	return replace(ctx, t, rows, "save who is asked", "request = ?", int64(id))
}

func (t *tx) NextTurn(ctx context.Context, team string) (int64, error) {
	row := struct{ Turn int64 }{}
	err := t.with(ctx).Raw("UPDATE teams SET turn = turn + 1 WHERE name = ? RETURNING turn", team).Scan(&row).Error
	return row.Turn - 1, wrap(err, "take a turn")
}
