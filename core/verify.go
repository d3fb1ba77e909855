package core

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/usher-access/usher/core/audit"
)

const auditPageSize = 2_000

// Verified is how much of the audit record was read.
type Verified struct {
	Chains, Events int
}

// VerifyAudit reads every chain of the audit record, and compares the chains of
// requests with the ends that the requests remember. The error is an
// *audit.Broken for the first link that doesn't hold. progress may be nil; it
// is called after each page.
func (s *Service) VerifyAudit(ctx context.Context, progress func(Verified)) (Verified, error) {
	v := verifier{store: s.store, progress: progress}
	for {
		page, err := s.store.AuditPage(ctx, v.place, auditPageSize)
		if err != nil {
			return v.read, fmt.Errorf("read the audit record: %w", err)
		}
		if len(page) == 0 {
			break
		}
		if err := v.page(ctx, page); err != nil {
			return v.read, err
		}
	}
	if err := v.endChain(ctx); err != nil {
		return v.read, err
	}
	missing, err := s.store.Unrecorded(ctx)
	if err != nil {
		return v.read, fmt.Errorf("look for requests without a record: %w", err)
	}
	if missing != 0 {
		return v.read, &audit.Broken{Chain: missing.String(), Seq: 1, Why: "it is missing"}
	}
	return v.read, nil
}

// verifier goes through the record page by page.
type verifier struct {
	store    Store
	place    AuditPlace
	head     audit.Head // of the chain at place
	ends     map[RequestID]audit.Head
	read     Verified
	progress func(Verified)
}

func (v *verifier) page(ctx context.Context, page []audit.Event) error {
	if err := v.readEnds(ctx, page); err != nil {
		return err
	}
	for _, e := range page {
		if e.Chain != v.place.Chain {
			if err := v.endChain(ctx); err != nil {
				return err
			}
			v.read.Chains++
		}
		next, err := v.head.Follow(e)
		if err != nil {
			return err
		}
		v.head, v.place = next, AuditPlace{Chain: e.Chain, Seq: e.Seq}
		v.read.Events++
	}
	if v.progress != nil {
		v.progress(v.read)
	}
	return nil
}

// readEnds reads what the requests of a page, and of the chain that it goes on
// with, remember as their chains' ends.
func (v *verifier) readEnds(ctx context.Context, page []audit.Event) error {
	ids := []RequestID{}
	for _, chain := range append([]string{v.place.Chain}, chainsOf(page)...) {
		if id, err := ParseRequestID(chain); err == nil {
			ids = append(ids, id)
		}
	}
	var err error
	if v.ends, err = v.store.RequestHeads(ctx, ids); err != nil {
		return fmt.Errorf("read the requests of the audit record: %w", err)
	}
	return nil
}

func chainsOf(page []audit.Event) []string {
	chains := make([]string, len(page))
	for i, e := range page {
		chains[i] = e.Chain
	}
	return slices.Compact(chains)
}

// endChain compares the end of the chain that was read with what its request
// remembers. Events that were added since its page was read are read now.
func (v *verifier) endChain(ctx context.Context) error {
	chain, head := v.place.Chain, v.head
	v.head = audit.Head{}
	if !strings.HasPrefix(chain, requestPrefix) {
		return nil
	}
	id, err := ParseRequestID(chain)
	if err != nil {
		return &audit.Broken{Chain: chain, Seq: head.Seq, Why: "its chain names no request"}
	}
	end, ok := v.ends[id]
	if !ok {
		return &audit.Broken{Chain: chain, Seq: head.Seq, Why: "its request is gone"}
	}
	for head.Seq < end.Seq {
		added, err := v.store.AuditPage(ctx, AuditPlace{Chain: chain, Seq: head.Seq}, 1)
		if err != nil {
			return fmt.Errorf("read the audit record: %w", err)
		}
		if len(added) == 0 || added[0].Chain != chain {
			return &audit.Broken{Chain: chain, Seq: head.Seq + 1, Why: "it is missing"}
		}
		if head, err = head.Follow(added[0]); err != nil {
			return err
		}
		v.read.Events++
	}
	if end != head {
		return &audit.Broken{Chain: chain, Seq: head.Seq, Why: "it is not the event that the request remembers as its last"}
	}
	return nil
}
