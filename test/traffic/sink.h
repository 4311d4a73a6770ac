/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Judging received frames of one queue.
 */

#ifndef IVSHMEM_TRAFFIC_SINK_H
#define IVSHMEM_TRAFFIC_SINK_H

#include "queue.h"

enum ivshmem_mbuf_state {
	IVSHMEM_MBUF_GOOD,
	IVSHMEM_MBUF_WRONG,	/* lengths or counts disagree */
	IVSHMEM_MBUF_UNSOUND,	/* freeing it could harm: better leaked, which is reported too */
};

/*
 * Receive one burst into queue->rx_pkts and count it.  Returns the number of frames; the caller
 * owns them.
 */
uint32_t
ivshmem_sink_receive(struct ivshmem_queue *queue);

/*
 * Judge one frame and account for it; does not free it.  Returns false when the mbuf chain itself
 * is unsound and must be neither freed nor sent.  *hdr holds the frame's header when it is
 * readable and good, else hdr->magic is 0.
 */
bool
ivshmem_sink_judge(struct ivshmem_queue *queue, const struct rte_mbuf *pkt,
		   struct ivshmem_frame_hdr *hdr);

/* Are pkt_len, nb_segs, next and refcnt as they must be?  Counts and records it when not. */
enum ivshmem_mbuf_state
ivshmem_sink_check_mbuf(struct ivshmem_queue *queue, const struct rte_mbuf *pkt);

void
ivshmem_sink_release(struct ivshmem_queue *queue);

#endif /* IVSHMEM_TRAFFIC_SINK_H */
