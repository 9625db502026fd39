"""The threads of compiled kernels."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from nexus_tui.lm.selective_scan import pool


def test_a_helper_leaves_the_processor_of_the_thread_that_called_it() -> None:
    if pool._processor() == -1 or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("threads cannot be moved here, or there is nowhere to move them to")
    left = []

    def helper() -> None:
        before = pool._processor()
        allowed = os.sched_getaffinity(0)
        pool._beside(before, lambda: left.append(pool._processor() != before))
        assert os.sched_getaffinity(0) == allowed

    with ThreadPoolExecutor(1) as executor:
        for _ in range(20):
            executor.submit(helper).result()
    assert sum(left) > 10  # on a busy machine the scheduler may move one back at once
