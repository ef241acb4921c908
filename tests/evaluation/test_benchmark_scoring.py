import importlib.util
from pathlib import Path


def test_the_scoring_benchmark_measures_two_roads_to_the_same_average_precision() -> None:
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "bench_scoring.py"
    spec = importlib.util.spec_from_file_location("bench_scoring", path)
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    figures = bench.run(num_films=60, num_marks=900)
    assert figures["average_precision_difference"] < 1e-9
    assert figures["ratio"] > 0
