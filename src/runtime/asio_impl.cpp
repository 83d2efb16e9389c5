// Asio's definitions are compiled here once (BOOST_ASIO_SEPARATE_COMPILATION is set for every user).
#include <boost/asio/impl/src.hpp>
