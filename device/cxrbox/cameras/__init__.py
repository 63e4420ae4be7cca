"""The camera above the light box: back ends behind one seam, the flat field, and the station that shows and takes."""
