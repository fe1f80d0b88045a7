"""Downloads one target with python-tuf, which shares no code with Tender.

usage: client.py REPOSITORY CLIENT-DIRECTORY TRUSTED-ROOT TARGET OUTPUT
exit:  0 downloaded and verified; 3 refused, the reason on standard error
"""

import os
import sys
from pathlib import Path

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.ngclient import FetcherInterface, Updater


class DirectoryFetcher(FetcherInterface):
    """Serves `repo:/<path>` from a directory, so that the test needs no network."""

    def __init__(self, directory):
        self.directory = Path(directory)

    def _fetch(self, url):
        path = self.directory / url.removeprefix("repo:/")
        if not path.is_file():
            raise DownloadHTTPError(f"no {path}", 404)
        with open(path, "rb") as file:
            yield file.read()


def main():
    repository, client, root, target, output = sys.argv[1:]
    os.makedirs(client, exist_ok=True)
    updater = Updater(
        metadata_dir=client,
        metadata_base_url="repo:/metadata/",
        target_base_url="repo:/targets/",
        target_dir=client,
        fetcher=DirectoryFetcher(repository),
        bootstrap=Path(root).read_bytes(),
    )
    try:
        updater.refresh()
        info = updater.get_targetinfo(target)
        if info is None:
            print("no such target", file=sys.stderr)
            return 3
        updater.download_target(info, output)
        print(info.unrecognized_fields.get("custom", {}))
    except (DownloadError, RepositoryError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 3
    return 0


sys.exit(main())
