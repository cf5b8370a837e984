return Postwright.Commands.Postdrop.Run(args);
