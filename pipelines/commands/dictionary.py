"""Write docs/data_dictionary.md anew from sql/fields.yaml.

python -m pipelines.commands.dictionary
"""

from pipelines.publish.pages.dictionary import PAGE, render_dictionary
from pipelines.settings.fields import dictionary


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(render_dictionary(dictionary()), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
