mod standins;
