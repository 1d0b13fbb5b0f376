#!/bin/sh
# Installs rolewall's package, a path or a URL in ROLEWALL_PACKAGE.
set -eu
package=$ROLEWALL_PACKAGE
case $package in
  https://*)
    folder=$(mktemp -d)
    curl --fail --silent --show-error --location --proto '=https' --output "$folder/rolewall.deb" "$package"
    package=$folder/rolewall.deb
    ;;
  /*) ;;
  *) package=./$package ;;
esac
sudo=""
[ "$(id -u)" -eq 0 ] || sudo=sudo
$sudo apt-get update -qq
$sudo apt-get install -y -qq "$package"
rolewall --version
