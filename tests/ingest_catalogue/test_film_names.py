from xraynet.ingest.match import FilmIndex, film_stem


def test_film_is_found_by_path_name_and_stem_in_any_case() -> None:
    index = FilmIndex([("a/Film1.PNG", "k1"), ("b/film1.png", "k2"), ("b/c/film2.dcm", "k3")])
    assert index.find("film2.dcm") == {"k3"}
    assert index.find("FILM2") == {"k3"}
    assert index.find("film2.png") == {"k3"}
    assert index.find("c/film2.dcm") == {"k3"}
    assert index.find("./b/c/film2.dcm") == {"k3"}
    assert index.find("b\\film1.png") == {"k2"}
    assert index.find("film9.png") == frozenset()


def test_name_of_two_different_films_is_ambiguous_and_of_one_film_twice_is_not() -> None:
    assert FilmIndex([("a/x.png", "k1"), ("b/x.png", "k2")]).find("x.png") == {"k1", "k2"}
    assert FilmIndex([("a/x.png", "k1"), ("b/x.png", "k1")]).find("x.png") == {"k1"}


def test_name_with_its_suffix_wins_over_a_namesake_with_another() -> None:
    index = FilmIndex([("x.png", "k1"), ("x.dcm", "k2")])
    assert index.find("x.dcm") == {"k2"}
    assert index.find("x") == {"k1", "k2"}


def test_folder_of_another_machine_is_overlooked() -> None:
    assert FilmIndex([("x.png", "k1")]).find("/elsewhere/films/x.png") == {"k1"}


def test_folders_known_to_both_machines_tell_films_apart() -> None:
    index = FilmIndex([("setA/x.png", "k1"), ("setB/x.png", "k2")])
    assert index.find("D:\\films\\setB\\x.png") == {"k2"}
    assert index.find("setC/x.png") == {"k1", "k2"}


def test_dots_inside_a_name_belong_to_it() -> None:
    assert film_stem("1.2.840") == "1.2.840"
    assert film_stem("a.b_drr.png") == "a.b_drr"
