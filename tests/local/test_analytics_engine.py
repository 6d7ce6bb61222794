"""Analytics Engine: a Worker's points are checked by workerd, which tells the Worker's log what is wrong with one."""

from local.cli import log_file
from local.cli.instance import Instance
from tests.local.rest import Rest, eventually, unique

WRITER = """
const WRONG = [{ indexes: ["a", "b"] }, { doubles: Array(21).fill(0) }, { blobs: Array(21).fill("b") }]
export default { fetch(request, env) {
  const points = new URL(request.url).pathname === "/wrong" ? WRONG : [
    { indexes: ["user"], blobs: ["a", "ü", null, new ArrayBuffer(8)], doubles: [1, 2.5] }, {}, undefined,
  ]
  return Response.json(points.map((point) => String(env.POINTS.writeDataPoint(point))))
} }
"""
DATASET = {"type": "analytics_engine", "name": "POINTS", "dataset": "points"}


def test_points_are_taken_and_limits_kept(rest: Rest, cloud: Instance) -> None:
    worker = rest.deployed_worker(WRITER, bindings=[DATASET])
    url = worker["subdomain"]["url"]
    eventually(lambda: rest.visit(url).is_success or None)

    def log() -> str:
        return log_file.log_path(cloud.state_dir).read_text()

    assert rest.visit(url).json() == ["undefined"] * 3
    assert "writeDataPoint()" not in log()
    assert rest.visit(f"{url}/wrong").is_success
    problems = [f"Maximum of {limit} supported." for limit in ("1 indexes", "20 doubles", "20 blobs")]
    eventually(lambda: all(f"TypeError: writeDataPoint(): {problem}" in log() for problem in problems) or None)
    [bound] = rest.result("GET", f"/workers/scripts/{worker['name']}/settings")["bindings"]
    assert bound == DATASET


def test_a_dataset_has_the_bindings_name_unless_it_is_told(rest: Rest) -> None:
    name = unique("points")
    rest.upload(name, WRITER, bindings=[{"type": "analytics_engine", "name": "POINTS"}])
    [bound] = rest.result("GET", f"/workers/scripts/{name}/settings")["bindings"]
    assert bound == DATASET | {"dataset": "POINTS"}
